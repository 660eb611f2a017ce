// A real model of 260 thousand parameters, by the plain implementation that decoding is compared with.
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/llama2c_model.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

TEST(Stories260K, ThePlainImplementationTellsItsStory) {
  const char* const data = std::getenv("FABULA_DATA");
  const fs::path weights = fs::path(data != nullptr ? data : "data") / "weights";
  if (!fs::exists(weights / "stories260K.bin"))
    GTEST_SKIP() << (weights / "stories260K.bin").string() << " is not there (FABULA_DATA names its folder)";
  test::Llama2cModel model((weights / "stories260K.bin").string());
  ASSERT_TRUE(model.ok());
  const text::Tokenizer tokenizer = text::load_tokenizer(weights / "tok512.bin");
  const auto steps = model.greedy({1}, 200);
  std::vector<uint32_t> ids;
  float least = INFINITY;
  for (const auto& step : steps) {
    ids.push_back(step.token);
    least = std::min(least, step.margin);
  }
  const std::string story = tokenizer.decode(ids);
  // As llama2.c's own tests have it.
  EXPECT_TRUE(story.starts_with(
      "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a "
      "big, red ball. She wanted to play with it, but it was too high."))
      << story;
  EXPECT_GT(least, 0);
  RecordProperty("least_margin", std::to_string(least));
  std::printf("%s\n[least margin %g]\n", story.c_str(), static_cast<double>(least));
}

}  // namespace
}  // namespace fabula
