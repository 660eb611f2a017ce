#include "compress/group_codes.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/half.hpp"
#include "compress/plain_gptq.hpp"
#include "compress/random_linear.hpp"
#include "expect_error.hpp"

namespace fabula::compress {
namespace {

using test::expect_error;

std::vector<GroupFormat> formats() {
  return {{2, 8, false}, {3, 32, true}, {4, 32, false}, {4, 32, true}, {5, 7, true}, {8, 16, false}, {8, 16, true}};
}

std::string text(const GroupFormat& format) {
  return fmt::format("{} bits, groups of {}, {}", format.bits, format.group, format.offsets ? "offsets" : "none");
}

TEST(GroupCodes, ErrorIsTheMeanSquareOfTheOutputsError) {
  RandomLinear of(6, 10, 64, 1);
  for (float& weight : of.weights) weight = std::round(weight * 4);  // exact sums
  std::vector<float> fitted = of.weights;
  for (std::size_t i = 0; i < fitted.size(); ++i) fitted[i] += static_cast<float>(i % 4);
  double error = 0, signal = 0;
  for (std::size_t r = 0; r < 64; ++r)
    for (std::size_t o = 0; o < 6; ++o) {
      double off = 0, y = 0;
      for (std::size_t i = 0; i < 10; ++i) {
        y += of.weights[o * 10 + i] * of.x[r * 10 + i];
        off += (double{of.weights[o * 10 + i]} - fitted[o * 10 + i]) * of.x[r * 10 + i];
      }
      error += off * off / 64;
      signal += y * y / 64;
    }
  const FitError found = fit_error(of.linear(), fitted);
  EXPECT_EQ(found.squared, error);
  EXPECT_EQ(found.signal, signal);
  EXPECT_EQ(found.relative(), error / signal);
}

TEST(GroupCodes, RoundingTakesTheNearestValueOfTheGroup) {
  const RandomLinear of(5, 45, 64, 2);
  for (const GroupFormat& format : formats())
    for (const bool narrow : {false, true}) {
      SCOPED_TRACE(text(format));
      const GroupFit fit = round_to_nearest(of.linear(), {format, narrow});
      const std::vector<float> numbers = expand(fit.codes);
      GroupCodes other = fit.codes;
      for (int code = 0; code < 1 << format.bits; ++code) {
        if (format.bits == 8 && !format.offsets && code == 0) continue;  // -128 is not used
        std::fill(other.codes.begin(), other.codes.end(), static_cast<std::uint8_t>(code));
        const std::vector<float> all = expand(other);
        for (std::size_t i = 0; i < numbers.size(); ++i)
          ASSERT_LE(std::abs(double{numbers[i]} - of.weights[i]), std::abs(double{all[i]} - of.weights[i])) << i;
      }
    }
}

// The largest magnitude lies at the end of the codes, and within the fp16 rounding of the scale it is met.
TEST(GroupCodes, ScalesReachTheExtremes) {
  RandomLinear of(3, 32, 64, 3);
  for (const GroupFormat& format : formats()) {
    SCOPED_TRACE(text(format));
    const std::vector<float> numbers = expand(round_to_nearest(of.linear(), {format}).codes);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::size_t row = i / 32, begin = row * 32 + i % 32 / static_cast<std::size_t>(format.group) *
                                                             static_cast<std::size_t>(format.group);
      const std::size_t end = std::min(begin + static_cast<std::size_t>(format.group), (row + 1) * 32);
      double low = of.weights[begin], high = low;
      for (std::size_t k = begin; k < end; ++k) {
        low = std::min(low, double{of.weights[k]});
        high = std::max(high, double{of.weights[k]});
      }
      const double most = std::max(std::abs(low), std::abs(high));
      const double step = format.offsets     ? (high - low) / ((1 << format.bits) - 1)
                          : format.bits == 8 ? most / 127
                                             : most / (1 << (format.bits - 1));
      const bool cut = !format.offsets && format.bits < 8;  // the other sign has one value less
      EXPECT_LE(std::abs(double{numbers[i]} - of.weights[i]), (cut ? 1.0 : 0.5) * step + most * 0x1p-10) << i;
    }
  }
}

TEST(GroupCodes, NarrowScalesAreNoWorseForTheirOwnMeasure) {
  RandomLinear of(8, 64, 64, 4);
  for (std::size_t i = 0; i < 64; ++i)  // inputs that do not go together: the error is the measure
    for (std::size_t k = 0; k < 64; ++k)
      if (i != k) of.moments[i * 64 + k] = 0;
  for (const GroupFormat& format : formats())
    EXPECT_LE(round_to_nearest(of.linear(), {format, true}).error.squared,
              round_to_nearest(of.linear(), {format, false}).error.squared)
        << text(format);
}

TEST(GroupCodes, GptqIsWhatRefittingAllFreeWeightsGives) {
  RandomLinear of(4, 70, 256, 5);
  for (const GroupFormat& format : formats())
    for (const bool by_activation : {false, true})
      for (const bool narrow : {false, true}) {
        SCOPED_TRACE(text(format) + (by_activation ? ", by activation" : ", in order"));
        const GptqOptions options{{format, narrow}, by_activation, 0.01};
        const GroupCodes expected = plain_gptq(of.linear(), options);
        const GroupFit fit = gptq(of.linear(), options);
        EXPECT_EQ(fit.codes.codes, expected.codes);
        EXPECT_EQ(fit.codes.scales, expected.scales);
        EXPECT_EQ(fit.codes.offsets, expected.offsets);
      }
}

// More columns than are updated at once.
TEST(GroupCodes, GptqOfManyColumns) {
  const RandomLinear of(1, 160, 512, 6);
  for (const bool by_activation : {false, true})
    for (const std::int64_t group : {32, 160}) {
      const GptqOptions options{{{3, group, true}, false}, by_activation, 0.05};
      EXPECT_EQ(gptq(of.linear(), options).codes.codes, plain_gptq(of.linear(), options).codes) << group;
    }
}

TEST(GroupCodes, GptqBeatsRoundingWhereInputsGoTogether) {
  const RandomLinear of(16, 96, 512, 7);
  for (const GroupFormat& format : formats())
    EXPECT_LT(gptq(of.linear(), {{format}}).error.squared, round_to_nearest(of.linear(), {format}).error.squared)
        << text(format);
}

TEST(GroupCodes, WeightsOfDeadInputsAreZeroAndDoNotWidenScales) {
  RandomLinear of(3, 40, 64, 8);
  of.kill_input(7);
  for (std::size_t row = 0; row < 3; ++row) of.weights[row * 40 + 7] = 1000;
  for (const GroupFit& fit : {round_to_nearest(of.linear(), {{4, 32, false}}), gptq(of.linear(), {{{4, 32, false}}})}) {
    const std::vector<float> numbers = expand(fit.codes);
    for (std::size_t row = 0; row < 3; ++row) EXPECT_EQ(numbers[row * 40 + 7], 0);
    EXPECT_LT(fit.error.relative(), 0.1);
  }
}

// Fewer inputs' vectors than inputs: Sigma is singular, and damping makes it regular.
TEST(GroupCodes, FewSamples) {
  const RandomLinear of(3, 40, 8, 9);
  EXPECT_LT(gptq(of.linear(), {{{4, 32, true}}}).error.relative(), 0.05);
  EXPECT_LT(gptq(of.linear(), {{{4, 32, true}}, true, 0}).error.relative(), 0.05) << "damped as much as it needs";
}

TEST(GroupCodes, ThreadsChangeNothing) {
  const RandomLinear of(70, 40, 64, 10);
  const GptqOptions options{{{3, 16, true}, true}};
  const GroupFit one = gptq(of.linear(), options, {.threads = 1}), three = gptq(of.linear(), options, {.threads = 3});
  EXPECT_EQ(one.codes.codes, three.codes.codes);
  EXPECT_EQ(one.codes.scales, three.codes.scales);
  EXPECT_EQ(one.error.squared, three.error.squared);
}

TEST(GroupCodes, WithoutMomentsEveryInputCountsAlike) {
  const RandomLinear of(4, 32, 64, 11);
  const Linear blind{of.outputs, of.inputs, of.weights};
  const GroupFit fit = gptq(blind, {{{4, 32, false}}});
  EXPECT_EQ(fit.codes.codes, round_to_nearest(blind, {{4, 32, false}}).codes.codes);
  double squares = 0;
  for (const float weight : of.weights) squares += double{weight} * weight;
  EXPECT_DOUBLE_EQ(fit.error.signal, squares);
}

TEST(GroupCodes, ProgressIsToldAndCanEndTheFit) {
  const RandomLinear of(100, 40, 64, 12);
  double last = 0;
  const Work watched{.threads = 2, .go_on = [&](double done) {
                       EXPECT_GT(done, 0);
                       EXPECT_LE(done, 1);
                       last = std::max(last, done);
                       return true;
                     }};
  gptq(of.linear(), {}, watched);
  EXPECT_GT(last, 0);
  const Work stopped{.threads = 2, .go_on = [](double) { return false; }};
  expect_error(ErrorCode::kInterrupted, {"stopped"}, [&] { gptq(of.linear(), {}, stopped); });
}

TEST(GroupCodes, BadInput) {
  RandomLinear of(2, 8, 16, 13);
  expect_error(ErrorCode::kInvalidArgument, {"9 bits"}, [&] { round_to_nearest(of.linear(), {{9, 32, false}}); });
  expect_error(ErrorCode::kInvalidArgument, {"groups"}, [&] { gptq(of.linear(), {{{4, 0, false}}}); });
  expect_error(ErrorCode::kInvalidArgument, {"damping"}, [&] { gptq(of.linear(), {{}, true, -1}); });
  Linear shorter = of.linear();
  shorter.moments = shorter.moments.first(8);
  expect_error(ErrorCode::kInvalidArgument, {"8 second moments"}, [&] { gptq(shorter, {}); });
  of.weights[9] = 1e9f;
  expect_error(ErrorCode::kNumeric, {"fp16"}, [&] { round_to_nearest(of.linear(), {}); });
  of.weights[9] = NAN;
  expect_error(ErrorCode::kNumeric, {"[1, 1]"}, [&] { gptq(of.linear(), {}); });
  of.weights[9] = 0;
  of.moments[9 * 3] = -1;
  expect_error(ErrorCode::kNumeric, {"input 3"}, [&] { gptq(of.linear(), {}); });
}

}  // namespace
}  // namespace fabula::compress
