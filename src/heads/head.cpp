#include "heads/head.hpp"

#include "base/fail.hpp"
#include "heads/full.hpp"
#include "heads/grouped.hpp"

namespace fabula::heads {

std::unique_ptr<Head> make_head(const ModelConfig& config, std::string_view embedding) {
  if (config.vocab_size < 1) {
    fail(ErrorCode::kInvalidArgument, "vocab_size is {}, a head needs at least 1 token", config.vocab_size);
  }
  if (config.head.kind == HeadKind::kFull) {
    return std::make_unique<FullHead>(FullHead::Options{.vocabulary = config.vocab_size,
                                                        .hidden = config.hidden,
                                                        .tied = config.tie_word_embeddings,
                                                        .embedding = std::string(embedding),
                                                        .bias = config.head.bias,
                                                        .init_std = config.initializer_range});
  }
  const std::int64_t slots = config.slots(), groups = config.head.groups;
  TokenGroups tokens = TokenGroups::id_ranges(config.vocab_size, slots);
  if (groups != 0 && groups != tokens.groups()) {
    fail(ErrorCode::kInvalidArgument, "head.groups is {}; {} tokens in groups of {} need {} (or 0)", groups,
         config.vocab_size, slots, tokens.groups());
  }
  return std::make_unique<GroupedHead>(std::move(tokens), config.hidden, config.initializer_range);
}

}  // namespace fabula::heads
