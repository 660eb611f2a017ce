#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "formats/token_map.hpp"

// A class-based head's tokens in other groups: which those are, and what its numbers become. Arithmetic on the host;
// sums are double.
namespace fabula::train {

/// The numbers of a model that mean something by its token map alone, as the store holds them. The rows of tokens are
/// the input embeddings and the weights within groups.
struct GroupNumbers {
  std::int64_t hidden = 0, slots = 0;  ///< D, S
  bool class_input = false;            ///< the model reads rows[v] + vectors[g(v)], else rows[v]
  std::vector<float> rows;             ///< [V, D]
  std::vector<float> vectors;          ///< [G, D], of the first level
  std::vector<float> bias;             ///< [K + G], of classes
  std::vector<float> shift;            ///< [G, S]
};

/// What the model reads of each token. [V, D]
std::vector<float> input_rows(const GroupNumbers& numbers, const TokenMap& map);

/// Clusters the tokens anew by `inputs`, the input_rows (their mean taken off, as directions), into as many groups of
/// at most S, by mass where those of `map` are. The shortlist stays. A group has the number of that group of `map`
/// which it has most of its text from. `source` is what messages call the model.
struct RegroupOptions {
  std::int64_t hidden = 0, slots = 0;
  std::uint64_t seed = 1;
  std::string_view source = "the model";
  std::size_t threads = 0;  ///< 0: all of the machine's; the map does not depend on it
};
TokenMap regroup(const TokenMap& map, std::span<const float> inputs, std::span<const std::uint64_t> counts,
                 const RegroupOptions& options);

/// Parts, of the vocabulary and of the text, that have changed their group.
struct Moved {
  double tokens = 0, text = 0;
};
Moved moved(const TokenMap& from, const TokenMap& to, std::span<const std::uint64_t> counts);

/// Weights under a new map. To rounding, what the model reads stays as it is, and so does every token's probability
/// where the hidden vector is zero. A group's vector is the mean of its tokens' old ones, with half of what sets the
/// tokens' rows apart from their old groups'. With `class_input` rows take what vectors no longer give. Slots without a
/// token become 0.
void move_weights(const TokenMap& from, const TokenMap& to, std::span<const std::uint64_t> counts,
                  GroupNumbers& numbers);

/// Moments of the optimizer, whose `rows` are left alone: of a slot its token's, of a group the mean of its tokens', by
/// how often they are.
void move_moments(const TokenMap& from, const TokenMap& to, std::span<const std::uint64_t> counts,
                  GroupNumbers& moments);

}  // namespace fabula::train
