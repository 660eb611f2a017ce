#include "fuzz/targets.hpp"
#include "fuzz/tokenizer_check.hpp"

namespace fabula::fuzz {

/// vocab.json, a byte 0, merges.txt.
bool vocabulary(std::string_view bytes) {
  const std::size_t end = std::min(bytes.find('\0'), bytes.size());
  const std::string_view vocab = bytes.substr(0, end), merges = bytes.substr(std::min(end + 1, bytes.size()));
  return check_tokenizer([&] { return text::parse_gpt2(vocab, "vocab.json", merges, "merges.txt"); }, merges);
}

}  // namespace fabula::fuzz
