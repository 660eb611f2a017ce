#include "bench/predict_bench.hpp"

#include <algorithm>

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "bench/decode_session.hpp"
#include "bench/head_costs.hpp"
#include "bench/machine.hpp"
#include "bench/speed_bench.hpp"
#include "bench/step_bench.hpp"
#include "predict/model_time.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::bench {
namespace {

constexpr int kDecodeRepeats = 5;

std::vector<std::string> comparison(const char* what, const char* unit, double predicted, double measured) {
  return {what, unit, fmt::format("{:.4g}", predicted), fmt::format("{:.4g}", measured),
          fmt::format("{:.2f}", predicted / measured)};
}

void compare_step(const vk::DeviceOptions& options, const RunConfig& config, const predict::KernelTimes& times,
                  int steps, Table& table) {
  const auto [device, choices] = tuning::open_tuned_device(options);  // one a comparison: its peak is then its own
  const models::LanguageModel model(config.model, {}, config.train.precision);
  const train::TrainingPlan plan =
      train::plan_training({device->profile(), choices}, model, config.train,
                           {.memory = device->info().usable_memory(), .with_extras = false});
  const predict::Prediction predicted = predict::predict_step(plan, config.train, times);
  StepBench bench(*device, choices, config);
  const StepTime measured = bench.measure("training step", steps);
  table.rows.push_back(comparison("training step", "ms", 1e3 * predicted.seconds, 1e3 * measured.seconds));
  table.rows.push_back(
      comparison("training memory", "MiB", mib(plan.workload.report().total()), mib(device->peak_allocated())));
}

void compare_token(const vk::DeviceOptions& options, const RunConfig& config, const predict::KernelTimes& times,
                   std::int64_t context, Table& table) {
  const auto [device, choices] = tuning::open_tuned_device(options);
  const models::LanguageModel model(config.model);
  const infer::SessionOptions session_options{.slots = 1};
  DecodeSession session(*device, choices, model, nullptr, session_options);
  const DecodeTime measured = session.decode(context, kDecodeRepeats);
  const predict::DecodePrediction predicted = predict::predict_token(
      {device->profile(), choices}, model, session_options, static_cast<std::int64_t>(measured.keys), times);
  table.rows.push_back(comparison("token", "ms", 1e3 * predicted.token.seconds, 1e3 * measured.seconds));
  table.rows.push_back(comparison("decoding memory", "MiB", mib(predicted.bytes), mib(device->peak_allocated())));
}

/// Runs a comparison; what does not fit has a row that says so.
template <class Compare>
void or_does_not_fit(const char* what, Table& table, const Compare& compare) {
  try {
    compare();
  } catch (const Error& error) {
    table.rows.push_back({what, "", "", fit_text(error), ""});
  }
}

}  // namespace

Table bench_predict(const vk::DeviceOptions& device_options, const RunConfig& config,
                    const PredictBenchOptions& options) {
  const std::int64_t longest = config.model.n_positions;
  const std::int64_t context = options.context > 0 ? options.context : std::max(longest / 2, kLeastContext);
  if (context < kLeastContext || context > longest)
    fail(ErrorCode::kInvalidArgument, "a context of {}: choose {} to {}, which is what the model has", context,
         kLeastContext, longest);
  Table table{{"what", "unit", "predicted", "measured", "ratio"}, {}, {}};
  tuning::DeviceSpeed speed;
  {
    const auto [device, choices] = tuning::open_tuned_device(device_options);
    table.notes = machine_notes(*device, choices);
    if (options.speed && options.speed->name != device->info().name)
      fail(ErrorCode::kInvalidArgument, "the profile is that of {}, the device is {}", options.speed->name,
           device->info().name);
    speed = options.speed ? *options.speed : measure_speed(*device, choices);
    device->save_pipeline_cache();
  }
  table.notes.push_back(fmt::format("{}; a token behind {} of one text", step_note(config), context));
  table.notes.push_back("profile: " + speed.note);
  const predict::KernelTimes times(speed);
  or_does_not_fit("training step", table, [&] { compare_step(device_options, config, times, options.steps, table); });
  or_does_not_fit("token", table, [&] { compare_token(device_options, config, times, context, table); });
  return table;
}

}  // namespace fabula::bench
