#include "predict/device_table.hpp"

#include <algorithm>

#include "base/byte_size.hpp"
#include "base/fail.hpp"

namespace fabula::predict {
namespace {

std::string rate_cell(double per_second) {
  return fmt::format("{:.{}f}", per_second, per_second < 10 ? 1 : 0);
}

/// "no: 900 MiB of 512", or empty where it fits.
std::string why_not(std::uint64_t bytes, std::uint64_t memory) {
  return bytes <= memory ? std::string() : fmt::format("does not fit: {:.0f} MiB", mib(bytes));
}

std::vector<std::string> training_cells(const graph::Target& target, const RunConfig& config, std::uint64_t memory,
                                        const KernelTimes& times) {
  const models::LanguageModel model(config.model, {}, config.train.precision);
  const train::TrainingPlan plan = train::plan_training(target, model, config.train, {.memory = memory});
  const std::uint64_t bytes = plan.workload.report().total();
  if (const std::string reason = why_not(bytes, memory); !reason.empty()) return {reason, "", ""};
  const Prediction step = predict_step(plan, config.train, times);
  return {fmt::format("{:.0f}{}", mib(bytes), plan.recompute == Recompute::kBlock ? ", blocks recomputed" : ""),
          fmt::format("{:.3g}", step.seconds), rate_cell(static_cast<double>(config.tokens_per_step()) / step.seconds)};
}

std::vector<std::string> decoding_cells(const graph::Target& target, const RunConfig& config, std::uint64_t memory,
                                        const KernelTimes& times) {
  const models::LanguageModel model(config.model);
  const DecodePrediction decoded = predict_token(target, model, {.slots = 1}, usual_context(config.model), times);
  if (const std::string reason = why_not(decoded.bytes, memory); !reason.empty()) return {reason, ""};
  return {fmt::format("{:.0f}", mib(decoded.bytes)), rate_cell(1 / decoded.token.seconds)};
}

/// Cells of a device, or what keeps the model off it.
template <class Cells>
void append_or_say(std::vector<std::string>& row, std::size_t count, const Cells& cells) {
  const std::size_t end = row.size() + count;
  try {
    for (std::string& cell : cells()) row.push_back(std::move(cell));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOutOfMemory && error.code() != ErrorCode::kUnsupported) throw;
    row.push_back("does not fit its limits");
  }
  row.resize(end);
}

}  // namespace

std::int64_t usual_context(const ModelConfig& model) {
  return std::max<std::int64_t>(model.n_positions / 2, 1);
}

Table predict_devices(std::span<const tuning::DeviceSpeed> devices, const RunConfig& config) {
  Table table{
      {"device", "memory MiB", "training MiB", "s/step", "training tokens/s", "decoding MiB", "decoding tokens/s"},
      {},
      {}};
  const models::LanguageModel whole(config.model, {}, config.train.precision);
  table.notes.push_back(
      fmt::format("predicted, not measured: {:.1f} M parameters, {} layers, hidden {}, vocabulary of {} tokens, {}",
                  1e-6 * static_cast<double>(whole.parameter_count()), config.model.layers, config.model.hidden,
                  config.model.vocab_size, whole.head().describe()));
  table.notes.push_back(fmt::format("a step: {} x {} x {} tokens, {}; a token: behind {} of one text, fp32",
                                    config.train.grad_accumulation, config.train.batch_size, config.sequence_length(),
                                    precision_name(config.train.precision), usual_context(config.model)));
  for (const tuning::DeviceSpeed& speed : devices) {
    const graph::Target target(speed.profile, speed.choices);
    const KernelTimes times(speed);
    const auto memory = device_info(speed).usable_memory();
    std::vector<std::string> row{speed.name, fmt::format("{:.0f}", mib(memory))};
    append_or_say(row, 3, [&] { return training_cells(target, config, memory, times); });
    append_or_say(row, 2, [&] { return decoding_cells(target, config, memory, times); });
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace fabula::predict
