#include "compile_report.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/terminal.hpp"
#include "json_output.hpp"

namespace fabula::app {
namespace {

struct Outcome {
  const KernelToCompile* kernel = nullptr;
  vk::CompiledKernel compiled;
  std::string error;  ///< empty: it was compiled
  bool spills() const { return compiled.statistics && compiled.statistics->is_spilled(); }
};

/// Of all pipelines of one shader.
struct Row {
  int pipelines = 0, defaults = 0, failures = 0;
  double seconds = 0;  ///< of the slowest
  std::vector<vk::PipelineStatistics> statistics;
};

std::string cell(const std::optional<std::uint64_t>& number) {
  return number ? std::to_string(*number) : "-";
}

Json number_json(const std::optional<std::uint64_t>& number) {
  return number ? Json(*number) : Json();
}

void print_table(const std::vector<Outcome>& outcomes, bool told) {
  std::map<std::string, Row> rows;
  for (const Outcome& outcome : outcomes) {
    Row& row = rows[outcome.kernel->key.shader];
    ++row.pipelines;
    row.defaults += outcome.kernel->is_default;
    row.failures += !outcome.error.empty();
    row.seconds = std::max(row.seconds, outcome.compiled.seconds);
    if (outcome.compiled.statistics) row.statistics.push_back(*outcome.compiled.statistics);
  }
  print("{:<44} {:>9} {:>8} {:>8} {:>8}", "kernel", "pipelines", "default", "failures", "seconds");
  print("{}\n", told
                    ? fmt::format(" {:>9} {:>7} {:>8} {:>8} {:>6}", "registers", "spills", "scratch", "shared", "waves")
                    : std::string());
  for (const auto& [shader, row] : rows) {
    print("{:<44} {:>9} {:>8} {:>8} {:>8.2f}", shader, row.pipelines, row.defaults, row.failures, row.seconds);
    const vk::PipelineStatistics worst = vk::worst_of(row.statistics);
    print("{}\n", told ? fmt::format(" {:>9} {:>7} {:>8} {:>8} {:>6}", cell(worst.registers), cell(worst.spills),
                                     cell(worst.scratch), cell(worst.shared_memory), cell(worst.waves))
                       : std::string());
  }
}

void print_details(const std::vector<Outcome>& outcomes) {
  for (const Outcome& outcome : outcomes) {
    const std::string name = to_string(outcome.kernel->key);
    if (!outcome.error.empty()) print("  FAILED {} ({}): {}\n", name, outcome.kernel->where, outcome.error);
    if (!outcome.kernel->is_default || !outcome.spills()) continue;
    const vk::PipelineStatistics& s = *outcome.compiled.statistics;
    print("  SPILLS {} ({}): {} spilled, {} bytes of scratch, {} registers\n", name, outcome.kernel->where,
          cell(s.spills), cell(s.scratch), cell(s.registers));
  }
}

Json outcome_json(const Outcome& outcome) {
  Json json{{"kernel", to_string(outcome.kernel->key)},
            {"where", outcome.kernel->where},
            {"default", outcome.kernel->is_default},
            {"ok", outcome.error.empty()},
            {"error", outcome.error},
            {"seconds", outcome.compiled.seconds}};
  if (!outcome.compiled.statistics) return json;
  const vk::PipelineStatistics& s = *outcome.compiled.statistics;
  Json all = Json::object();
  for (const vk::Statistic& statistic : s.all) all[statistic.name] = statistic.value;
  json["statistics"] = {{"subgroup_size", s.subgroup_size},
                        {"registers", number_json(s.registers)},
                        {"spills", number_json(s.spills)},
                        {"scratch", number_json(s.scratch)},
                        {"shared_memory", number_json(s.shared_memory)},
                        {"waves", number_json(s.waves)},
                        {"driver", all}};
  return json;
}

}  // namespace

std::unique_ptr<vk::Device> open_to_compile(vk::DeviceOptions options, const CompileArgs& args) {
  options.only_compile = true;
  options.statistics = args.statistics || args.no_spills;
  std::unique_ptr<vk::Device> device = vk::Device::open(options);
  if (args.no_spills && !device->tells_statistics())
    fail(ErrorCode::kUnsupported,
         "the driver of {} does not tell whether kernels spill (VK_KHR_pipeline_executable_properties); leave "
         "--no-spills out",
         device->profile().name);
  if (options.statistics && !device->tells_statistics())
    info("the driver of {} tells no statistics (VK_KHR_pipeline_executable_properties)", device->profile().name);
  return device;
}

int compile_report(vk::Device& device, const std::vector<KernelToCompile>& kernels, const CompileArgs& args,
                   bool json) {
  info("compiling {} kernels for {} ({})", kernels.size(), device.profile().name, device.info().driver);
  std::vector<Outcome> outcomes;
  for (const KernelToCompile& kernel : kernels) {
    log_progress(fmt::format("compiling {} ({})", to_string(kernel.key), kernel.where));
    Outcome outcome{.kernel = &kernel, .compiled = {}, .error = {}};
    try {
      outcome.compiled = device.compile(kernel.key);
      if (outcome.compiled.statistics) device.note_fault(kernel.key, outcome.compiled.statistics->fault());
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kDeviceLost) throw;
      outcome.error = error.what();
    }
    outcomes.push_back(std::move(outcome));
  }
  log_progress({});
  device.save_pipeline_cache();
  const auto count = [&](const auto& is) { return std::count_if(outcomes.begin(), outcomes.end(), is); };
  const auto failures = count([](const Outcome& o) { return !o.error.empty(); });
  const auto spilling = count([](const Outcome& o) { return o.kernel->is_default && o.spills(); });
  const auto defaults = count([](const Outcome& o) { return o.kernel->is_default; });
  if (json) {
    Json list = Json::array();
    for (const Outcome& outcome : outcomes) list.push_back(outcome_json(outcome));
    print("{}\n", dump({{"device", device.profile().name},
                        {"driver", device.info().driver},
                        {"failures", failures},
                        {"default_kernels", defaults},
                        {"default_kernels_that_spill", device.tells_statistics() ? Json(spilling) : Json()},
                        {"kernels", list}},
                       2));
  } else {
    print_table(outcomes, device.tells_statistics());
    print("{} kernels, {} taken by default; {} failures{}\n", outcomes.size(), defaults, failures,
          device.tells_statistics() ? fmt::format("; {} default kernels spill", spilling) : "");
    print_details(outcomes);
  }
  return failures > 0 || (args.no_spills && spilling > 0) ? 1 : 0;
}

}  // namespace fabula::app
