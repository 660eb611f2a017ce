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

TEST(Sampler, RefusesOptionsOutOfRange) {
  for (const double temperature : {-0.1, 101.0, double(NAN)})
    test::expect_error(ErrorCode::kInvalidArgument, {"temperature"}, [&] { validate({.temperature = temperature}); });
  for (const double top_p : {0.0, 1.5, double(NAN)})
    test::expect_error(ErrorCode::kInvalidArgument, {"top-p"}, [&] { validate({.top_p = top_p}); });
}

}  // namespace
}  // namespace fabula::infer
