#include <gtest/gtest.h>

#include <cmath>

#include "train/schedule.hpp"

namespace fabula::train {
namespace {

TEST(Schedule, StepsComeFromStepsThenTokensThenEpochs) {
  RunConfig run;
  run.model.n_positions = 16;
  TrainConfig& config = run.train;
  config.batch_size = 4;
  config.grad_accumulation = 2;
  config.epochs = 1.5;
  EXPECT_EQ(total_steps(run, 1000), 12);  // 1500 tokens, 128 a step, rounded up
  config.tokens = 129;
  EXPECT_EQ(total_steps(run, 1000), 2);
  config.steps = 7;
  EXPECT_EQ(total_steps(run, 1000), 7);
  // Steps that are done count with what they saw: 10 of 64 tokens leave 1860 - 640 tokens, then in steps of 128.
  config.steps = 0;
  config.tokens = 1860;
  EXPECT_EQ(total_steps(run, 1000, {.steps = 10, .tokens = 640}), 10 + 10);
  EXPECT_EQ(total_steps(run, 1000, {.steps = 12, .tokens = 640 + 2 * 128}), 10 + 10);
  EXPECT_EQ(total_steps(run, 1000, {.steps = 10, .tokens = 1280}), total_steps(run, 1000));
  EXPECT_EQ(total_steps(run, 1000, {.steps = 30, .tokens = 1900}), 30);
  config = {};
  config.epochs = 0;
  EXPECT_EQ(total_steps(run, 1000), 1);
}

TEST(Schedule, WarmsUpAndFallsToItsFloor) {
  TrainConfig config;
  config.learning_rate = 2;
  config.min_lr_ratio = 0.25;
  config.warmup_steps = 10;
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, 110), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(config, 10, 110), 2);
  EXPECT_NEAR(learning_rate(config, 60, 110), 2 * (0.25 + 0.75 * 0.5), 1e-12);  // halfway down
  EXPECT_NEAR(learning_rate(config, 110, 110), 0.5, 1e-12);
  EXPECT_NEAR(learning_rate(config, 200, 110), 0.5, 1e-12);
  for (std::int64_t step = 11; step < 110; ++step)
    EXPECT_GT(learning_rate(config, step, 110), learning_rate(config, step + 1, 110)) << step;
}

TEST(Schedule, EdgesOfTheWarmUp) {
  TrainConfig config;
  config.learning_rate = 1;
  config.warmup_steps = 0;
  EXPECT_TRUE(std::isfinite(learning_rate(config, 1, 1)));
  EXPECT_GT(learning_rate(config, 1, 100), 0.99);
  config.warmup_steps = 50;  // longer than the run
  EXPECT_DOUBLE_EQ(learning_rate(config, 5, 10), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 10, 10), 1);
}

TEST(Schedule, HyperOfAdamW) {
  TrainConfig config;
  config.beta1 = 0.9;
  config.beta2 = 0.99;
  config.epsilon = 1e-6;
  const auto hyper = adamw_hyper(config, 0.5, 2);
  const std::array<double, 6> expected{0.5, 0.9, 0.99, 1e-6, 1 - 0.81, 1 - 0.9801};
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(hyper[i], expected[i], 1e-7 * std::max(1.0, expected[i])) << i;
}

}  // namespace
}  // namespace fabula::train
