#include "base/philox.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace fabula {
namespace {

using Words = std::array<uint32_t, 4>;

// The known answers published with the paper (Random123, kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, StreamWalksTheCounter) {
  Philox stream(0x123456789abcdef0ull, 7);
  for (uint32_t block = 0; block < 3; ++block) {
    const Words expected = philox4x32({block, 0, 7, 0}, {0x9abcdef0, 0x12345678});
    for (const uint32_t word : expected) EXPECT_EQ(stream.next(), word);
  }
}

TEST(Philox, BelowIsInRangeAndEven) {
  Philox stream(1);
  std::vector<int> counts(7);
  constexpr int kDraws = 70000;
  for (int i = 0; i < kDraws; ++i) counts.at(stream.below(7))++;
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 7, 400);  // 4 standard deviations are 370
  EXPECT_EQ(stream.below(1), 0u);
}

}  // namespace
}  // namespace fabula
