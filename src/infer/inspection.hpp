#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "formats/token_map.hpp"

// What a token was drawn from, in the order in which a two-level head chooses: a class, then a token inside it.
namespace fabula::infer {

struct LikelyToken {
  std::uint32_t id;
  double log_p;  ///< of the level it stands in: joint, or given its class
};

/// A class of a first level: a token of the shortlist, or a group (an adaptive head's cluster).
struct LikelyClass {
  std::int64_t index;               ///< shortlist tokens first, then groups: the classes' order in the head
  bool single;                      ///< a token of the shortlist
  std::int64_t size;                ///< tokens in it
  double log_p;                     ///< of the class
  std::vector<LikelyToken> tokens;  ///< the likeliest first, given the class; of the own class the token's in any case
};

struct Levels {
  std::int64_t shortlist, groups;    ///< K, G
  std::int64_t index;                ///< the token's own class
  double token_log_p;                ///< of the token, given its class
  std::vector<LikelyClass> classes;  ///< the likeliest first, and the token's own in any case
};

struct Inspection {
  LikelyToken token;
  std::int64_t rank;               ///< 1: no token is likelier
  std::vector<LikelyToken> joint;  ///< the likeliest first, and the token itself in any case
  std::optional<Levels> levels;    ///< of heads with a map
};

/// Looks at a distribution `log_probs` [V] with an eye on one token; `most` entries a list, and one more where what is
/// looked at is not among them. The levels are those of the head's own choice, exactly: log p(class) is the log-sum of
/// its tokens' (slots that no token has carry no probability), log p(token | class) the difference. Throws
/// kInvalidArgument for a token of V or more, kNumeric for what is not a number.
Inspection inspect(std::span<const float> log_probs, const TokenMap* map, std::uint32_t token, std::size_t most);

}  // namespace fabula::infer
