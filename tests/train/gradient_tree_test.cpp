#include "train/gradient_tree.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace fabula::train {
namespace {

/// The tree over [begin, end), as its definition says it.
std::string tree(std::int64_t begin, std::int64_t end) {
  if (end - begin == 1) return std::to_string(begin);
  std::int64_t half = 1;
  while (half * 2 < end - begin) half *= 2;
  return fmt::format("({}+{})", tree(begin, begin + half), tree(begin + half, end));
}

TEST(GradientTree, AddsInABinaryTreeOfFewHeldSums) {
  for (std::int64_t count = 1; count <= 70; ++count) {
    std::string running;
    std::vector<std::string> held;
    std::size_t most = 0;
    const std::vector<TreeStep> steps = gradient_tree(count);
    for (std::int64_t m = 0; m < count; ++m) {
      const TreeStep& step = steps.at(static_cast<std::size_t>(m));
      if (step.hold) held.push_back(running);
      most = std::max(most, held.size());
      running = step.overwrite ? std::to_string(m) : fmt::format("({}+{})", running, m);
      for (std::int64_t i = 0; i < step.add; ++i) {
        ASSERT_FALSE(held.empty());
        running = fmt::format("({}+{})", held.back(), running);
        held.pop_back();
      }
    }
    EXPECT_TRUE(held.empty());
    EXPECT_EQ(running, tree(0, count));
    EXPECT_EQ(held_sums(count), static_cast<std::int64_t>(most));
  }
  EXPECT_EQ(held_sums(3), 0);
  EXPECT_EQ(held_sums(4), 1);
  EXPECT_EQ(held_sums(8), 2);
  EXPECT_EQ(held_sums(64), 5);
}

}  // namespace
}  // namespace fabula::train
