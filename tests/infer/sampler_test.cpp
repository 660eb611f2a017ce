#include "infer/sampler.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "expect_error.hpp"

namespace fabula::infer {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Shares of each token in many draws.
std::map<std::uint32_t, double> shares(const std::vector<float>& log_probs, const SamplerOptions& options,
                                       int draws = 20000) {
  Philox random(options.seed);
  std::map<std::uint32_t, double> result;
  for (int i = 0; i < draws; ++i) result[sample(log_probs, options, random)] += 1.0 / draws;
  return result;
}

const std::vector<float> kQuarters{std::log(0.25f), std::log(0.5f), std::log(0.125f), std::log(0.125f)};

TEST(Sampler, DrawsByProbability) {
  const auto drawn = shares(kQuarters, {.temperature = 1});
  // Five standard deviations of a share of one half in 20,000 draws: 0.018.
  for (std::uint32_t id = 0; id < 4; ++id) EXPECT_NEAR(drawn.at(id), std::exp(kQuarters[id]), 0.018) << id;
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  const auto cold = shares(kQuarters, {.temperature = 0.5});  // squares: 4, 16, 1, 1 of 22
  EXPECT_NEAR(cold.at(1), 16.0 / 22, 0.018);
  const auto hot = shares(kQuarters, {.temperature = 100});
  for (const auto& [id, share] : hot) EXPECT_NEAR(share, 0.25, 0.02) << id;
}

TEST(Sampler, TemperatureZeroTakesTheLikeliest) {
  Philox random(1);
  EXPECT_EQ(sample(kQuarters, {.temperature = 0}, random), 1u);
  EXPECT_EQ(sample(std::vector<float>{-3, -1, -1}, {.temperature = 0}, random), 1u) << "ties go to the lower id";
  EXPECT_EQ(sample(std::vector<float>{-2}, {.temperature = 0}, random), 0u);
}

TEST(Sampler, TopKAndTopP) {
  for (const auto& [id, share] : shares(kQuarters, {.temperature = 1, .top_k = 2}))
    EXPECT_NEAR(share, id == 1 ? 2.0 / 3 : 1.0 / 3, 0.02) << id;
  EXPECT_EQ(shares(kQuarters, {.temperature = 1, .top_k = 1}).size(), 1u);
  EXPECT_EQ(shares(kQuarters, {.temperature = 1, .top_k = 99}).size(), 4u);
  EXPECT_EQ(shares(kQuarters, {.temperature = 1, .top_p = 0.4}).size(), 1u);  // the likeliest alone reaches it
  EXPECT_EQ(shares(kQuarters, {.temperature = 1, .top_p = 0.7}).size(), 2u);
  EXPECT_EQ(shares(kQuarters, {.temperature = 1, .top_p = 1e-9}).size(), 1u);  // never empty
}

TEST(Sampler, PassesOverWhatIsNotFinite) {
  const auto drawn = shares({NAN, -1, -kInfinity, -1, kInfinity}, {.temperature = 1});
  EXPECT_EQ(drawn.size(), 2u);
  EXPECT_TRUE(drawn.contains(1) && drawn.contains(3));
  Philox random(1);
  test::expect_error(ErrorCode::kNumeric, {"finite"}, [&] { sample(std::vector<float>{NAN, NAN}, {}, random); });
}

TEST(Sampler, MinPKeepsWhatIsNearTheLikeliest) {
  EXPECT_EQ(shares(kQuarters, {.temperature = 1, .min_p = 0.3}).size(), 2u);  // 0.125 is a quarter of 0.5
  EXPECT_EQ(shares(kQuarters, {.temperature = 1, .min_p = 0.2}).size(), 4u);
  EXPECT_EQ(shares(kQuarters, {.temperature = 1, .min_p = 1}).size(), 1u);
}

TEST(Sampler, CutsComeAfterTheTemperatureAndEachAfterTheOther) {
  // Of 2/3 and 1/3, which top-k leaves, 0.6 is reached by the first alone; of 1/2 and 1/4 it would not be.
  EXPECT_EQ(probabilities(kQuarters, {.temperature = 1, .top_k = 2, .top_p = 0.6}), (std::vector<double>{0, 1, 0, 0}));
  const std::vector<double> equal = probabilities(std::vector<float>{-1, -1, -1}, {.temperature = 1, .top_k = 2});
  EXPECT_EQ(equal, (std::vector<double>{0.5, 0.5, 0})) << "ties go to the lower id";
}

TEST(Sampler, PenaltiesAndBiasesMoveLogProbabilities) {
  const std::vector<std::uint32_t> counts{kInPrompt, 0, kInPrompt | 1, 3};
  const auto ratios = [&](const SamplerOptions& options) {  // to the token that has never come
    const std::vector<double> p = probabilities(kQuarters, options, counts);
    return std::vector<double>{p[0] / p[1], p[2] / p[1], p[3] / p[1]};
  };
  const auto expect_ratios = [&](const SamplerOptions& options, const std::vector<double>& expected) {
    const std::vector<double> actual = ratios(options);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(actual[i], expected[i], 1e-7) << i;
  };
  expect_ratios({.temperature = 1}, {0.5, 0.25, 0.25});
  expect_ratios({.temperature = 1, .repetition_penalty = 2}, {0.125, 0.03125, 0.03125});
  expect_ratios({.temperature = 1, .presence_penalty = std::log(2)}, {0.5, 0.125, 0.125});
  expect_ratios({.temperature = 1, .frequency_penalty = std::log(2)}, {0.5, 0.125, 0.03125});
  expect_ratios({.temperature = 1, .logit_bias = {{0, std::log(3)}, {3, -1e30}}}, {1.5, 0.25, 0});
  // A bias is no part of what the repetition penalty multiplies: it still makes tokens less likely.
  const std::vector<double> p =
      probabilities(kQuarters, {.temperature = 1, .repetition_penalty = 2, .logit_bias = {{0, 10}}}, counts);
  EXPECT_NEAR(p[0] / p[1], 0.125 * std::exp(10), 1e-3);
}

TEST(Sampler, SlotsSayWhatOptionsSay) {
  std::vector<std::uint32_t> slot(kSlotWords, 0xABCD);
  set_sampling(slot, {.temperature = 0.5, .top_k = 7, .presence_penalty = 0.25, .seed = 0x500000003});
  EXPECT_EQ(slot[kSlotSeed], 3u);
  EXPECT_EQ(slot[kSlotSeed + 1], 5u);
  EXPECT_EQ(slot[kSlotTemperature], 0x3F000000u);
  EXPECT_EQ(slot[kSlotTopK], 7u);
  EXPECT_EQ(slot[kSlotFlags], kUsesCounts);
  EXPECT_EQ(slot[kSlotToken], 0xABCDu) << "not a matter of sampling";
  set_sampling(slot, {.logit_bias = {{1, 2}}});
  EXPECT_EQ(slot[kSlotFlags], kUsesBias);
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  for (const double min_p : {-0.1, 1.1, double(NAN)})
    test::expect_error(ErrorCode::kInvalidArgument, {"min-p"}, [&] { validate({.min_p = min_p}); });
  for (const double penalty : {0.0, -1.0, 101.0, double(NAN)})
    test::expect_error(ErrorCode::kInvalidArgument, {"repetition penalty"},
                       [&] { validate({.repetition_penalty = penalty}); });
  for (const double penalty : {-101.0, double(INFINITY), double(NAN)}) {
    test::expect_error(ErrorCode::kInvalidArgument, {"presence penalty"},
                       [&] { validate({.presence_penalty = penalty}); });
    test::expect_error(ErrorCode::kInvalidArgument, {"frequency penalty"},
                       [&] { validate({.frequency_penalty = penalty}); });
  }
  for (const double bias : {double(INFINITY), double(NAN), 1e7, -1e7})
    test::expect_error(ErrorCode::kInvalidArgument, {"bias of token 5"}, [&] {
      validate({.logit_bias = {{5, bias}}});
    });
  validate({.logit_bias = {{5, -1e30}, {6, -double(INFINITY)}}});
  for (const double temperature : {-0.1, 101.0, double(NAN)})
    test::expect_error(ErrorCode::kInvalidArgument, {"temperature"}, [&] { validate({.temperature = temperature}); });
  for (const double top_p : {0.0, 1.5, double(NAN)})
    test::expect_error(ErrorCode::kInvalidArgument, {"top-p"}, [&] { validate({.top_p = top_p}); });
}

}  // namespace
}  // namespace fabula::infer
