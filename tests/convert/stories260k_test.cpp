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
  // The text that llama2.c's own tests expect.
  EXPECT_EQ(
      tokenizer.decode(ids),
      "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she "
      "saw a big, red ball. She wanted to play with it, but it was too high.\n"
      "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She said, \"I want "
      "to play with your ball, but I can't find it.\"\n"
      "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to do.\"\n"
      "Lily didn't want to help her mom, so she");
  EXPECT_GT(least, 4e-3);  // so that rounding changes no token of it
}

}  // namespace
}  // namespace fabula
