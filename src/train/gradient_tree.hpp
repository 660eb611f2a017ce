#pragma once
#include <cstdint>
#include <vector>

namespace fabula::train {

/// What a step does with the gradients of one of its micro-batches. There is one running sum, in the states
/// grad.<parameter>, and a stack of sums that are held beside it.
struct TreeStep {
  bool hold = false;       ///< first of all the running sum goes onto the stack
  bool overwrite = false;  ///< the gradients take the place of the running sum; else they are added to it
  std::int64_t add = 0;    ///< so many sums come off the stack then, each added to the running sum
};

/// The steps that add `count` micro-batches in a binary tree over their numbers: the first 2^k, where 2^k is the
/// largest power of two below `count`, and the rest, each added in the same way, then these two. For up to three that
/// is one after the other. Of 2^k neighbours, the first of them a multiple of 2^k, the sum is a subtree: what one rank
/// adds.
std::vector<TreeStep> gradient_tree(std::int64_t count);

/// The most sums that these steps hold at once.
std::int64_t held_sums(std::int64_t count);

}  // namespace fabula::train
