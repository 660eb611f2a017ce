#include "base/half.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fabula {
namespace {

TEST(Half, EveryNumberSurvivesTheWayThere) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if (std::isnan(half_to_float(half))) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(half_to_float(half))))) << bits;
    } else {
      EXPECT_EQ(float_to_half(half_to_float(half)), half) << bits;
    }
    if (!std::isnan(bf16_to_float(half))) {
      EXPECT_EQ(float_to_bf16(bf16_to_float(half)), half) << bits;
    }
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(float_to_half(1 + 0x1p-11f), float_to_half(1.0f));
  EXPECT_EQ(float_to_half(1 + 0x3p-11f), float_to_half(1 + 0x1p-9f));
  EXPECT_EQ(float_to_half(1 + 0x1.01p-11f), float_to_half(1 + 0x1p-10f));
  EXPECT_EQ(float_to_half(0x1p-25f), 0);
  EXPECT_EQ(float_to_half(0x1.8p-24f), 2);
  EXPECT_EQ(float_to_bf16(1 + 0x1p-8f), float_to_bf16(1.0f));
  EXPECT_EQ(float_to_bf16(1 + 0x3p-8f), float_to_bf16(1 + 0x1p-6f));
}

TEST(Half, WhatIsTooLargeIsInfinite) {
  EXPECT_EQ(half_to_float(float_to_half(65519.99f)), 65504.0f);
  EXPECT_EQ(half_to_float(float_to_half(65520.0f)), std::numeric_limits<float>::infinity());
  EXPECT_EQ(half_to_float(float_to_half(-1e30f)), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(bf16_to_float(float_to_bf16(3.4e38f)), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(half_to_float(float_to_half(std::nanf("")))));
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::nanf("")))));
}

}  // namespace
}  // namespace fabula
