#include "study/cell_result.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "expect_error.hpp"
#include "formats/mutate.hpp"
#include "study/study_file.hpp"
#include "study/summary.hpp"

namespace fabula::study {
namespace {

CellResult some_result(const std::string& row, double rate, std::int64_t seed, double loss) {
  CellResult result;
  result.cell = row + std::to_string(rate) + std::to_string(seed);
  result.row = row;
  result.learning_rate = rate;
  result.seed = seed;
  result.digest = "0123456789abcdef";
  result.overrides = {"head.kind=fused"};
  result.config = R"({"model_type": "gpt2", "vocab_size": 280})";
  result.head = "fused, tied";
  result.steps = 900;
  result.loss = loss;
  result.token_accuracy = 0.5;
  result.bands = {{"1-100", 100, 5000, 1.25, 0.6, 0.75}, {"never seen", 3, 0, kNoNumber, kNoNumber, kNoNumber}};
  result.curve = {{0, 5.5, 0}, {100, 2.5, 0.125}};
  result.peak_bytes = 1 << 30;
  result.timings = {2e6, 0.008, 7.2};
  result.device = "some device";
  return result;
}

TEST(CellResult, ComesBackAsItWas) {
  const std::string text = cell_result_json(some_result("fused", 4e-3, 1, 2.1392817)).dump(2);
  const CellResult again = parse_cell_result(text, "r.json");
  EXPECT_EQ(cell_result_json(again).dump(2), text);
  EXPECT_EQ(again.loss, 2.1392817);
  EXPECT_TRUE(std::isnan(again.group_accuracy));
  EXPECT_TRUE(std::isnan(again.bands.at(1).loss));
  EXPECT_EQ(again.curve.at(1).seconds, 0.125);
  EXPECT_FALSE(again.has_diverged());
}

TEST(CellResult, OlderOnesHaveNoGroupAccuracyByBand) {
  nlohmann::ordered_json json = cell_result_json(some_result("fused", 4e-3, 1, 2));
  EXPECT_EQ(parse_cell_result(json.dump(), "r.json").bands.at(0).group_accuracy, 0.75);
  json["bands"][0].erase("group_accuracy");
  EXPECT_TRUE(std::isnan(parse_cell_result(json.dump(), "r.json").bands.at(0).group_accuracy));
}

TEST(CellResult, WhatIsMissingOrOfAnotherKindIsNamed) {
  nlohmann::ordered_json json = cell_result_json(some_result("fused", 4e-3, 1, 2));
  json["steps"] = "many";
  test::expect_error(ErrorCode::kFormat, {"r.json: \"steps\" is \"many\""},
                     [&] { parse_cell_result(json.dump(), "r.json"); });
  json.erase("steps");
  test::expect_error(ErrorCode::kFormat, {"r.json: \"steps\" is missing"},
                     [&] { parse_cell_result(json.dump(), "r.json"); });
  test::expect_error(ErrorCode::kFormat, {"r.json"}, [&] { parse_cell_result("[]", "r.json"); });
}

TEST(CellResult, DamagedFilesAreErrorsAndNothingElse) {
  const std::string result = cell_result_json(some_result("fused", 4e-3, 1, 2)).dump();
  const std::string study =
      R"({"config": "c.json", "data": {"train": "t"}, "set": {"a": 1}, "learning_rates": [1e-3, 2],
    "seeds": [1, 2], "rows": [{"name": "a", "group": "g"}, {"name": "b", "map_of": {"row": "a", "learning_rate": 2}, "time_of": "a"}]})";
  std::mt19937 random(5);
  int taken = 0;
  constexpr int kTries = 4000;
  for (int i = 0; i < kTries; ++i) {
    taken += test::succeeds_or_throws_error([&] { parse_cell_result(test::mutate(result, random), "r.json"); });
    taken += test::succeeds_or_throws_error([&] { parse_study(test::mutate(study, random), "s.json"); });
  }
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, kTries);
}

TEST(Summary, IsOfTheBestLearningRateByTheMeanOverSeeds) {
  StudyRow row;
  row.name = "fused";
  CellResults results;
  const auto add = [&](CellResult result) { results[result.cell] = std::move(result); };
  EXPECT_FALSE(summarise_row(row, results));
  add(some_result("fused", 2e-3, 1, std::log(9.0)));
  add(some_result("fused", 2e-3, 2, std::log(11.0)));
  add(some_result("fused", 4e-3, 1, std::log(8.0)));  // one seed says less than two
  add(some_result("other", 4e-3, 1, std::log(2.0)));
  EXPECT_EQ(summarise_row(row, results)->learning_rate, 2e-3);
  EXPECT_NEAR(summarise_row(row, results)->perplexity.mean, 10, 1e-9);
  add(some_result("fused", 4e-3, 2, std::log(10.0)));
  const RowSummary best = *summarise_row(row, results);
  EXPECT_EQ(best.learning_rate, 4e-3);
  EXPECT_NEAR(best.perplexity.low, 8, 1e-9);
  EXPECT_NEAR(best.perplexity.high, 10, 1e-9);
  EXPECT_EQ(best.seconds, 7.2);
  CellResult diverged = some_result("fused", 4e-3, 2, kNoNumber);
  diverged.diverged = "step 3: the loss is not finite";
  add(diverged);
  EXPECT_EQ(summarise_row(row, results)->learning_rate, 2e-3);
}

}  // namespace
}  // namespace fabula::study
