#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/group_plan.hpp"

namespace fabula::heads {

/// Which token sits in which slot of which group: G groups of up to S tokens. The real slots of a group are its first
/// sizes()[g]; the others are phantoms, which no token has and no probability goes to.
class TokenGroups {
 public:
  static constexpr std::uint32_t kPhantom = 0xFFFFFFFFu;

  /// Consecutive token ids: token v is slot v % S of group v / S; G = ceil(V / S). Throws kInvalidArgument unless 1 <=
  /// S <= V.
  static TokenGroups id_ranges(std::int64_t vocabulary, std::int64_t slots);

  /// Any map: place[v] = g S + s. Throws kInvalidArgument, naming the token or group, unless the tokens fit (G S >= V),
  /// every place is below G S and taken once, no group is empty, and the tokens of a group fill its first slots.
  TokenGroups(std::int64_t groups, std::int64_t slots, std::vector<std::uint32_t> place);

  std::int64_t vocabulary() const { return static_cast<std::int64_t>(place_.size()); }  ///< V
  std::int64_t groups() const { return groups_; }                                       ///< G
  std::int64_t slots() const { return slots_; }                                         ///< S
  std::span<const std::uint32_t> place() const { return place_; }                       ///< [V]: g S + s
  std::span<const std::uint32_t> sizes() const { return sizes_; }                       ///< [G]: real slots
  /// The token in slot s of group g, or kPhantom.
  std::uint32_t token(std::int64_t g, std::int64_t s) const {
    return tokens_[static_cast<std::size_t>(g * slots_ + s)];
  }
  /// A label as the kernels read it; `label` is below V or kIgnoredLabel.
  GroupTarget target(std::uint32_t label) const;

 private:
  std::int64_t groups_, slots_;
  std::vector<std::uint32_t> place_, sizes_, tokens_;
};

}  // namespace fabula::heads
