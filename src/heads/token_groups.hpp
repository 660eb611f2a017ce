#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/fail.hpp"
#include "base/group_plan.hpp"
#include "formats/model_config.hpp"
#include "formats/token_map.hpp"

namespace fabula::heads {

/// A token map with its look-ups. The K shortlist tokens are the first classes of a two-level head's first level, the G
/// groups the others; a group has up to S slots, of which the first are real and the rest phantoms, which no token has
/// and no probability goes to. The M = V - K tokens in groups are also numbered through in "map order": group by group,
/// slot by slot, without phantoms.
class TokenGroups {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;

  /// `slots` S; 0: the largest group's. Throws kFormat for what is not a map of `vocabulary` tokens (check_token_map),
  /// or a group of more than S; `source` is what messages call the map.
  TokenGroups(TokenMap map, std::int64_t vocabulary, std::int64_t slots = 0, std::string_view source = "the group map");

  const TokenMap& map() const { return map_; }
  std::int64_t vocabulary() const { return static_cast<std::int64_t>(class_.size()); }         ///< V
  std::int64_t shortlist() const { return static_cast<std::int64_t>(map_.shortlist.size()); }  ///< K
  std::int64_t groups() const { return static_cast<std::int64_t>(map_.groups.size()); }        ///< G
  std::int64_t classes() const { return shortlist() + groups(); }
  std::int64_t slots() const { return slots_; }                     ///< S
  std::int64_t tail() const { return vocabulary() - shortlist(); }  ///< M

  /// A label as the kernels read it; `label` is below V or kIgnoredLabel. A shortlist token is in no group.
  GroupTarget target(std::uint32_t label) const;
  /// The class of a label; kIgnoredLabel of kIgnoredLabel.
  std::uint32_t class_of(std::uint32_t label) const { return label == kIgnoredLabel ? label : class_.at(label); }
  /// Of heads with vectors of classes at the input, by token: `first` + its group, kNone of a shortlist token.
  std::vector<std::uint32_t> input_rows(std::int64_t first) const;
  /// A token's number in map order; kNone for a shortlist token.
  std::uint32_t order_of(std::uint32_t token) const { return order_.at(token); }
  /// The token in slot s of group g, or kNone.
  std::uint32_t token(std::int64_t g, std::int64_t s) const;

  /// [G S]: the number in map order, or the token id, of each slot; 0 in phantoms.
  std::vector<std::uint32_t> slot_orders() const;
  std::vector<std::uint32_t> slot_tokens() const;
  /// [G + 1]: each group's first number in map order, and M.
  std::vector<std::uint32_t> starts() const;
  /// [2 V], by token: class, number in map order.
  std::vector<std::uint32_t> entries() const;

 private:
  template <class Number>
  std::vector<std::uint32_t> slot_numbers(Number number) const;
  TokenMap map_;
  std::int64_t slots_;
  std::vector<std::uint32_t> class_, slot_, order_;  ///< by token
};

/// The map that a config describes by itself: consecutive ids, the shortlist and an adaptive head's clusters first. It
/// has every config's shapes, but is the config's own map only where no corpus has a say (map id_ranges without a
/// shortlist): see needs_map.
TokenMap consecutive_map(const ModelConfig& config);

/// Does the config's map come from a corpus or a file, so that a model is useless without it?
bool needs_map(const HeadConfig& head);

}  // namespace fabula::heads
