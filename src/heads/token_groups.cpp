#include "heads/token_groups.hpp"

#include <limits>
#include <numeric>

#include "base/fail.hpp"

namespace fabula::heads {

TokenGroups TokenGroups::id_ranges(std::int64_t vocabulary, std::int64_t slots) {
  if (slots < 1 || slots > vocabulary) {
    fail(ErrorCode::kInvalidArgument, "head.group_size is {}, a vocabulary of {} tokens allows 1 to {}", slots,
         vocabulary, vocabulary);
  }
  if (vocabulary >= kPhantom) {
    fail(ErrorCode::kInvalidArgument, "vocab_size is {}, a grouped head takes fewer than {} tokens", vocabulary,
         kPhantom);
  }
  std::vector<std::uint32_t> place(static_cast<std::size_t>(vocabulary));
  std::iota(place.begin(), place.end(), 0u);
  return TokenGroups((vocabulary + slots - 1) / slots, slots, std::move(place));
}

TokenGroups::TokenGroups(std::int64_t groups, std::int64_t slots, std::vector<std::uint32_t> place)
    : groups_(groups), slots_(slots), place_(std::move(place)) {
  const std::int64_t room = std::numeric_limits<std::uint32_t>::max();
  if (groups < 1 || slots < 1 || groups > room / slots) {
    fail(ErrorCode::kInvalidArgument,
         "head.groups is {} and head.group_size is {}: both must be at least 1, their product below {}", groups, slots,
         room);
  }
  if (groups * slots < vocabulary()) {
    fail(ErrorCode::kInvalidArgument,
         "head.groups {} x head.group_size {} = {} slots, the vocabulary has {} tokens; head.group_size must be at "
         "least {}",
         groups, slots, groups * slots, vocabulary(), (vocabulary() + groups - 1) / groups);
  }
  tokens_.assign(static_cast<std::size_t>(groups * slots), kPhantom);
  sizes_.assign(static_cast<std::size_t>(groups), 0);
  for (std::uint32_t v = 0; v < place_.size(); ++v) {
    if (place_[v] >= tokens_.size()) {
      fail(ErrorCode::kInvalidArgument, "group map: token {} has place {}, expected one below {}", v, place_[v],
           tokens_.size());
    }
    std::uint32_t& taken = tokens_[place_[v]];
    if (taken != kPhantom) {
      fail(ErrorCode::kInvalidArgument, "group map: tokens {} and {} both have group {} slot {}", taken, v,
           place_[v] / slots, place_[v] % slots);
    }
    taken = v;
    ++sizes_[static_cast<std::size_t>(place_[v] / slots)];
  }
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::uint32_t size = sizes_[static_cast<std::size_t>(g)];
    if (size == 0) fail(ErrorCode::kInvalidArgument, "group map: group {} of {} has no token", g, groups);
    for (std::uint32_t s = 0; s < size; ++s) {
      if (token(g, s) != kPhantom) continue;
      fail(ErrorCode::kInvalidArgument,
           "group map: group {} has {} tokens but none in slot {}; its tokens must fill slots 0 to {}", g, size, s,
           size - 1);
    }
  }
}

GroupTarget TokenGroups::target(std::uint32_t label) const {
  if (label == kIgnoredLabel) return {.group = kIgnoredLabel, .slot = 0, .slots = 0};
  const std::uint32_t at = place_.at(label), group = at / static_cast<std::uint32_t>(slots_);
  return {.group = group, .slot = at % static_cast<std::uint32_t>(slots_), .slots = sizes_[group]};
}

}  // namespace fabula::heads
