#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "formats/token_map.hpp"

// A full head's tokens taken together by group: how likely each group is follows from the head, and a grouped head's
// first level is to say the same by one product a group. Arithmetic on the host.
namespace fabula::convert {

/// A full head's matrix and bias.
struct OutputRows {
  std::int64_t hidden = 0;    ///< D
  std::vector<float> weight;  ///< [V, D]
  std::vector<float> bias;    ///< [V]; empty: none
};

/// What a full head makes of hidden vectors, group by group.
struct GroupMasses {
  std::int64_t positions = 0, hidden = 0, groups = 0;  ///< N, D, G
  std::vector<float> vectors;                          ///< [N, D]
  std::vector<float> scores;                           ///< [N, G]: log-sum-exp over the logits of a group's tokens
  std::vector<float> shortlist;                        ///< [N]: over those of the shortlist; very low without one
};
/// `vectors` [N, D]; `threads` 0: all of the machine's. The result does not depend on it.
GroupMasses group_masses(std::vector<float> vectors, const OutputRows& rows, const TokenMap& map,
                         std::size_t threads = 0);

/// The rows as hidden vectors like `vectors` [N, D] read them: two are as near to each other as the logits that they
/// give there, but for the logits' means. [V, D]
std::vector<float> rows_as_read(const OutputRows& rows, const std::vector<float>& vectors);

/// s[g] = vectors[g] . h + bias[g]
struct GroupScores {
  std::vector<float> vectors;  ///< [G, D]
  std::vector<float> bias;     ///< [G]
};
/// What scores lose, in nats a position: the divergence of the first level with them from the full head's, in the mean.
/// Where the second level is exact, this is how far the whole distribution is from the full head's.
double cost_of(const GroupScores& scores, const GroupMasses& masses);

/// A way to scores, and what it loses on positions that it has not seen.
struct TriedScores {
  std::string_view way;
  double cost = 0;
};
struct FittedScores {
  GroupScores scores;  ///< of the best way
  std::vector<TriedScores> tried;
  std::size_t best = 0;  ///< which of them
};
/// The ways: "rows", means of the groups' rows by how often the tokens are, `counts` [V]; "tangent", the slope of the
/// groups' masses at the mean hidden vector; "plane", their least squares; "fit", the divergence brought down from the
/// best of these by L-BFGS, which is a convex problem, until `unseen` gains no more.
FittedScores fit_scores(const GroupMasses& seen, const GroupMasses& unseen, const OutputRows& rows, const TokenMap& map,
                        std::span<const std::uint64_t> counts);

}  // namespace fabula::convert
