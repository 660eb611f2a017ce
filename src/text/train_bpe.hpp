#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "text/tokenizer.hpp"

namespace fabula::text {

struct TrainBpeOptions {
  uint32_t vocab_size = 4096;       ///< with the 256 bytes and <|endoftext|>; at least 257
  std::string vocabulary = "gpt2";  ///< whose pre-tokenizer pattern to use (named_pattern)
  uint64_t min_count = 2;           ///< a pair that occurs less often is not merged
  size_t threads = 0;               ///< 0: all of the machine's; the result does not depend on it
};

/// Learns byte-pair merges from documents: the most frequent pair first; among equals the one with the smaller left id,
/// then the smaller right id. Ids: the 256 bytes in GPT-2's order, the merges in order, <|endoftext|> last. Stops
/// early, with a smaller vocabulary than asked for, when no pair is left that occurs min_count times. Throws
/// kInvalidArgument for an impossible size and for documents without any text.
Tokenizer train_bpe(std::span<const std::string_view> documents, const TrainBpeOptions& options);

}  // namespace fabula::text
