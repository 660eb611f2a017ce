#include "base/nearest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace fabula {
namespace {

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("n_embdd", "n_embd"), 1u);
}

TEST(Nearest, FindsOnlyWhatIsNear) {
  const std::vector<std::string> names = {"n_embd", "n_head", "n_layer"};
  EXPECT_EQ(nearest("n_haed", names), "n_head");
  EXPECT_EQ(nearest("completely_different", names), "");
  EXPECT_EQ(nearest("x", {}), "");
  EXPECT_EQ(did_you_mean("n_layers", names), "; did you mean \"n_layer\"?");
  EXPECT_EQ(did_you_mean(std::string(100000, 'n'), names), "");
}

}  // namespace
}  // namespace fabula
