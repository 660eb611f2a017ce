#pragma once
#include <span>

namespace fabula::cluster {

/// Adds arrays of one length element by element, in the tree over their numbers in which training adds micro-batches:
/// the first 2^k of n, where 2^k is the largest power of two below n, and the rest, each added in the same way, then
/// these two. The sum lies in the first one; the others are overwritten. `flush`: subnormal numbers count as zeros of
/// their sign, before and behind every addition.
void add_in_tree(std::span<const std::span<float>> parts, bool flush);

}  // namespace fabula::cluster
