#pragma once
#include <algorithm>

#include "heads/head_of.hpp"

namespace fabula::heads {

inline constexpr std::int64_t kHidden = 5, kVocabulary = 31;

inline ModelConfig config(HeadKind kind, bool tied = false, bool bias = false, std::int64_t group_size = 7) {
  ModelConfig config;
  config.vocab_size = kVocabulary;  // with 7 slots: 5 groups and 4 phantom slots
  config.hidden = kHidden;
  config.tie_word_embeddings = tied;
  config.head = {.kind = kind, .bias = bias, .group_size = kind == HeadKind::kGrouped ? group_size : 0};
  return config;
}

/// Tokens spread over a shortlist and groups of unlike sizes, in no order of ids.
inline TokenMap scattered_map(std::int64_t shortlist, std::int64_t groups) {
  TokenMap map;
  map.groups.resize(static_cast<std::size_t>(groups));
  for (std::uint32_t i = 0; i < kVocabulary; ++i) {
    const std::uint32_t token = i * 12 % kVocabulary;
    if (i < shortlist)
      map.shortlist.push_back(token);
    else
      map.groups[(i + i / 7) % map.groups.size()].push_back(token);
  }
  return map;
}

inline std::size_t largest_group(const TokenMap& map) {
  std::size_t largest = 0;
  for (const auto& group : map.groups) largest = std::max(largest, group.size());
  return largest;
}

}  // namespace fabula::heads
