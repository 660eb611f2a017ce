// Which batch sizes fit a given memory, by planning alone.
#include "train/fit.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "graph/models.hpp"

namespace fabula::train {
namespace {

ModelConfig model_config() {
  ModelConfig config = test::small_config(HeadKind::kGrouped);
  config.n_positions = 32;
  config.hidden = 32;
  config.layers = 3;
  return config;
}

class Fit : public testing::Test {
 protected:
  Fit() : model_(model_config()) {
    config_.batch_size = 12;
    config_.grad_accumulation = 2;
    config_.sample_every = 0;
  }
  std::uint64_t bytes(std::int64_t batch, Recompute recompute, std::uint64_t memory = 0) const {
    TrainConfig config = config_;
    config.batch_size = batch;
    config.recompute = recompute;
    return plan_training(profile_, model_, config, {.memory = memory}).workload.report().total();
  }
  BatchFit fit(std::uint64_t memory) const { return fit_batch(profile_, model_, config_, memory); }
  vk::DeviceInfo device(std::uint64_t memory) const {
    vk::DeviceInfo info;
    info.device_memory = memory;
    info.profile = profile_;
    return info;
  }

  vk::DeviceProfile profile_;
  models::LanguageModel model_;
  TrainConfig config_;
};

TEST_F(Fit, FindsTheLargestBatch) {
  for (const std::int64_t batch : {1, 2, 3, 7, 31, 100}) {
    const std::uint64_t memory = bytes(batch, Recompute::kNone);
    const BatchFit found = fit(memory);
    EXPECT_EQ(found.none, batch);
    EXPECT_TRUE(found.block == 0 || bytes(found.block, Recompute::kBlock) <= memory);
    EXPECT_GT(bytes(found.block + 1, Recompute::kBlock), memory);
    EXPECT_EQ(fit(memory - 1).none, batch - 1);
  }
  EXPECT_GT(fit(bytes(31, Recompute::kNone)).block, 31);
}

TEST_F(Fit, RowsHaveWhatPlansTake) {
  const BatchFit found = fit(bytes(20, Recompute::kNone));
  std::vector<std::int64_t> batches;
  for (const FitRow& row : found.rows) {
    batches.push_back(row.batch);
    EXPECT_EQ(row.none, bytes(row.batch, Recompute::kNone));
    EXPECT_EQ(row.block, bytes(row.batch, Recompute::kBlock));
  }
  EXPECT_TRUE(std::is_sorted(batches.begin(), batches.end()));
  for (const std::int64_t batch : {std::int64_t{1}, std::int64_t{12}, std::int64_t{16}, found.none, found.block})
    EXPECT_NE(std::find(batches.begin(), batches.end(), batch), batches.end()) << batch;
  EXPECT_EQ(std::adjacent_find(batches.begin(), batches.end()), batches.end());
}

TEST_F(Fit, StepsKeepTheirSequences) {
  const auto step = [&](std::int64_t none, std::int64_t block) {
    const FittingStep s = fitting_step({.none = none, .block = block, .rows = {}, .why_not_more = {}}, config_);
    return std::tuple{s.batch, s.accumulation, s.recompute};
  };
  EXPECT_EQ(step(100, 300), (std::tuple{24, 1, Recompute::kNone}));  // never more than a step has
  EXPECT_EQ(step(11, 13), (std::tuple{8, 3, Recompute::kNone}));     // divisors of 24
  EXPECT_EQ(step(2, 13), (std::tuple{12, 2, Recompute::kBlock}));    // far fewer batches
  EXPECT_EQ(step(0, 1), (std::tuple{1, 24, Recompute::kBlock}));
  EXPECT_EQ(step(0, 0), (std::tuple{0, 0, Recompute::kNone}));
}

TEST_F(Fit, WhatBindsTooMuchIsNoFit) {
  profile_.limits.max_allocation = 1 << 20;  // attention binds q, k and v whole: 3 * 32 columns
  const BatchFit found = fit(1ull << 40);
  EXPECT_EQ(found.none, (1 << 20) / (4 * 96 * 32));
  EXPECT_EQ(found.block, found.none);
  EXPECT_NE(found.why_not_more.find("h.0/attention"), std::string::npos) << found.why_not_more;
  EXPECT_NE(found.why_not_more.find("1048576 bytes"), std::string::npos) << found.why_not_more;
}

TEST_F(Fit, NotEvenOneSequence) {
  const std::uint64_t memory = std::min(bytes(1, Recompute::kNone), bytes(1, Recompute::kBlock)) - 4096;
  const BatchFit found = fit(memory);
  EXPECT_EQ(found.largest(), 0);
  test::expect_error(
      ErrorCode::kOutOfMemory,
      {"not even a batch of one sequence", "4.0 KiB too much", "train.sequence_length=16", "a smaller model"},
      [&] { require_fit(found, profile_, model_, config_, memory); });
  require_fit(fit(memory + 4096), profile_, model_, config_, memory + 4096);
}

TEST_F(Fit, AutomaticRecomputationIsTheLastResort) {
  const std::uint64_t none = bytes(12, Recompute::kNone), block = bytes(12, Recompute::kBlock);
  ASSERT_LT(block, none);
  EXPECT_EQ(bytes(12, Recompute::kAuto), none);
  EXPECT_EQ(bytes(12, Recompute::kAuto, none), none);
  EXPECT_EQ(bytes(12, Recompute::kAuto, none - 1), block);
  EXPECT_EQ(bytes(12, Recompute::kNone, none - 1), none);
  EXPECT_EQ(plan_to_fit(device(none - 1), profile_, model_, config_).recompute, Recompute::kBlock);
  EXPECT_EQ(plan_to_fit(device(none), profile_, model_, config_).recompute, Recompute::kNone);
}

TEST_F(Fit, APlanThatDoesNotFitSaysWhatWould) {
  const std::uint64_t memory = bytes(12, Recompute::kBlock) - 1;
  const auto refusal = [&](std::vector<std::string> parts) {
    parts.insert(parts.end(), {"out of device memory", "the run takes", "fabula plan --fit"});
    test::expect_error(ErrorCode::kOutOfMemory, parts, [&] { plan_to_fit(device(memory), profile_, model_, config_); });
  };
  refusal({"with recompute block", "--set train.batch_size=8 --set train.grad_accumulation=3", "--precision fp16",
           "train.sequence_length=16"});
  const models::LanguageModel half(model_config(), {}, Precision::kFp16);
  for (const std::string& line : memory_advice(profile_, half, config_, memory))
    EXPECT_EQ(line.find("--precision"), std::string::npos) << line;
  config_.recompute = Recompute::kNone;
  refusal({"with recompute none", "--recompute block --set train.batch_size=8 --set train.grad_accumulation=3"});
  // The limit may be above the device's memory in plans for others, not in a run.
  vk::DeviceInfo capped = device(memory);
  capped.profile.limits.heap_cap = 2 * memory;
  config_.recompute = Recompute::kAuto;
  test::expect_error(ErrorCode::kOutOfMemory, {"out of device memory"},
                     [&] { plan_to_fit(capped, profile_, model_, config_); });
}

}  // namespace
}  // namespace fabula::train
