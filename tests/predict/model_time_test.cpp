// Whole models on devices that are not there: no device is opened.
#include "predict/model_time.hpp"

#include <gtest/gtest.h>

#include "predict/device_table.hpp"

namespace fabula::predict {
namespace {

RunConfig small_config() {
  RunConfig config = default_config(ModelFamily::kGpt2);
  config.model.vocab_size = 1000;
  config.model.hidden = 64;
  config.model.layers = 2;
  config.model.heads = 4;
  config.model.n_positions = 128;
  config.train.batch_size = 2;
  config.train.recompute = Recompute::kNone;
  validate_config(config, "test");
  return config;
}

Prediction step_on(const tuning::DeviceSpeed& speed, const RunConfig& config) {
  const models::LanguageModel model(config.model, {}, config.train.precision);
  const train::TrainingPlan plan = train::plan_training({speed.profile, speed.choices}, model, config.train);
  return predict_step(plan, config.train, KernelTimes(speed));
}

DecodePrediction token_on(const tuning::DeviceSpeed& speed, const RunConfig& config, std::int64_t context) {
  const models::LanguageModel model(config.model);
  return predict_token({speed.profile, speed.choices}, model, {.slots = 1}, context, KernelTimes(speed));
}

TEST(Prediction, FollowsTheDevice) {
  const RunConfig config = small_config();
  tuning::DeviceSpeed speed = tuning::find_device_speed("Steam Deck");
  const Prediction step = step_on(speed, config);
  EXPECT_GT(step.seconds, step.launch_seconds);
  EXPECT_GT(step.launches, 50u);
  tuning::DeviceSpeed twice = speed;
  twice.flops.value *= 2;
  for (tuning::CopyRate& copy : twice.copies) copy.per_second *= 2;
  const Prediction faster = step_on(twice, config);
  EXPECT_LT(faster.seconds, step.seconds);
  EXPECT_DOUBLE_EQ(faster.launch_seconds, step.launch_seconds);
  twice.launch.value *= 10;
  EXPECT_NEAR(step_on(twice, config).seconds - faster.seconds,
              9 * speed.launch.value * static_cast<double>(step.launches), 1e-9);
}

TEST(Prediction, AccumulatedBatchesCountEach) {
  RunConfig config = small_config();
  const tuning::DeviceSpeed speed = tuning::find_device_speed("Steam Deck");
  const Prediction one = step_on(speed, config);
  config.train.grad_accumulation = 3;
  const Prediction three = step_on(speed, config);
  EXPECT_GT(three.flops, 2.5 * one.flops);
  EXPECT_LT(three.flops, 3 * one.flops);  // the optimizer runs once
}

TEST(Prediction, ATokenReadsTheWeightsAndItsContext) {
  const RunConfig config = small_config();
  tuning::DeviceSpeed speed = tuning::find_device_speed("Steam Deck");
  const DecodePrediction near = token_on(speed, config, 8), far = token_on(speed, config, 120);
  const double cache_rows = 112 * 2 * 2.0 * 64 * 4;  // more positions, in two layers, keys and values, fp32
  EXPECT_NEAR(far.token.bytes - near.token.bytes, cache_rows, 0.01 * cache_rows);
  const models::LanguageModel model(config.model);
  EXPECT_GT(near.token.bytes, 4.0 * static_cast<double>(model.body_parameter_count()));
  EXPECT_GT(near.bytes, 4u * static_cast<std::uint64_t>(model.parameter_count()));
}

TEST(DeviceTable, SaysWhatDoesNotFit) {
  std::vector<tuning::DeviceSpeed> devices{tuning::find_device_speed("Steam Deck"),
                                           tuning::find_device_speed("Raspberry Pi 5")};
  devices[1].memory.value = 4 << 20;
  const Table table = predict_devices(devices, small_config());
  ASSERT_EQ(table.rows.size(), 2u);
  for (const std::vector<std::string>& row : table.rows) EXPECT_EQ(row.size(), table.columns.size());
  EXPECT_EQ(table.rows[0][0], "Steam Deck");
  for (std::size_t column = 1; column < table.columns.size(); ++column)
    EXPECT_GT(std::stod(table.rows[0][column]), 0) << table.columns[column];
  EXPECT_NE(table.rows[1][2].find("does not fit"), std::string::npos);
  EXPECT_NE(table.notes.front().find("not measured"), std::string::npos);
}

}  // namespace
}  // namespace fabula::predict
