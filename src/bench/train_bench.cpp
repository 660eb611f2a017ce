#include "bench/train_bench.hpp"

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "bench/head_list.hpp"
#include "bench/machine.hpp"
#include "bench/step_bench.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::bench {
namespace {

std::vector<std::string> measure(const vk::DeviceOptions& options, const RunConfig& config, const std::string& name,
                                 int steps, const text::TokenFile* tokens) {
  const auto [device, choices] = tuning::open_tuned_device(options);  // one a head: peaks are then its own
  StepBench bench(*device, choices, config, {}, tokens);
  const StepTime time = bench.measure(name, steps);
  return {name,
          fmt::format("{:.2f}", 1e-6 * double(bench.model().parameter_count())),
          fmt::format("{:.2f}", 1e3 * time.seconds),
          fmt::format("{:.0f}", double(bench.tokens()) / time.seconds),
          time.idle_seconds ? fmt::format("{:.2f}", 100 * *time.idle_seconds / time.seconds) : "",
          fmt::format("{:.1f}", time.submissions),
          fmt::format("{:.0f}", mib(device->peak_allocated()))};
}

std::vector<HeadVariant> measured_heads(const RunConfig& config, const std::string& filter) {
  std::vector<HeadVariant> heads = head_variants(config);
  std::erase_if(heads, [](const HeadVariant& head) {
    return head.name != kGrouped && head.name != kFullTied && head.name != kFusedTied;
  });
  std::vector<std::string> names;
  for (const HeadVariant& head : heads) names.push_back(head.name);
  check_filter(names, {filter});
  return filter_variants(std::move(heads), {filter});
}

}  // namespace

Table bench_train(const vk::DeviceOptions& device, const RunConfig& config, const TrainBenchOptions& options) {
  Table table{{"head", "M parameters", "ms/step", "tokens/s", "idle %", "submissions", "peak MiB"}, {}, {}};
  const auto [opened, choices] = tuning::open_tuned_device(device);
  table.notes = machine_notes(*opened, choices);
  table.notes.push_back(fmt::format("{}, vocabulary of {} tokens, {}", step_note(config), config.model.vocab_size,
                                    options.tokens.empty() ? "random ids" : options.tokens.filename().string()));
  std::optional<text::TokenFile> tokens;
  if (!options.tokens.empty()) {
    tokens.emplace(options.tokens);
    if (tokens->vocab_size() != config.model.vocab_size)
      fail(ErrorCode::kInvalidArgument, "{} has {} tokens in its vocabulary, the config's vocab_size is {}",
           options.tokens.string(), tokens->vocab_size(), config.model.vocab_size);
  }
  for (const HeadVariant& head : measured_heads(config, options.filter)) {
    try {
      table.rows.push_back(measure(device, head.config, head.name, options.steps, tokens ? &*tokens : nullptr));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
      info("{}: {}", head.name, error.what());
      table.rows.push_back({head.name, "", "does not fit", "", "", "", ""});
    }
  }
  return table;
}

}  // namespace fabula::bench
