#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/nearest.hpp"
#include "base/terminal.hpp"
#include "bench/machine.hpp"
#include "bench/ops_bench.hpp"
#include "commands.hpp"
#include "compile_report.hpp"
#include "graph/check.hpp"
#include "graph/program.hpp"
#include "json_output.hpp"
#include "ops/op_table.hpp"

namespace fabula::app {
namespace {

const char* class_name(vk::DeviceClass device_class) {
  switch (device_class) {
    case vk::DeviceClass::kDiscrete:
      return "discrete";
    case vk::DeviceClass::kIntegrated:
      return "integrated";
    case vk::DeviceClass::kVirtual:
      return "virtual";
    case vk::DeviceClass::kSoftware:
      return "software";
    case vk::DeviceClass::kOther:
      break;
  }
  return "other";
}

Json features_json(const vk::Features& f) {
  return {{"subgroup_size", f.subgroup_size},
          {"min_subgroup_size", f.min_subgroup_size},
          {"max_subgroup_size", f.max_subgroup_size},
          {"subgroup_shuffle", f.subgroup_shuffle},
          {"subgroup_arithmetic", f.subgroup_arithmetic},
          {"subgroup_ballot", f.subgroup_ballot},
          {"full_subgroups", f.full_subgroups},
          {"subgroup_size_control", f.subgroup_size_control},
          {"storage_16bit", f.storage_16bit},
          {"float16", f.float16},
          {"texel_float4", f.texel_float4},
          {"cooperative_matrix_khr", f.cooperative_matrix_khr},
          {"cooperative_matrix_nv", f.cooperative_matrix_nv},
          {"cooperative_matrix_bf16", f.cooperative_matrix_bf16},
          {"timestamps", f.timestamps},
          {"memory_budget", f.memory_budget}};
}

Json limits_json(const vk::Limits& l) {
  return {{"max_invocations", l.max_invocations},         {"max_workgroup_size", l.max_workgroup_size},
          {"max_workgroup_count", l.max_workgroup_count}, {"max_workgroup_subgroups", l.max_workgroup_subgroups},
          {"max_shared_memory", l.max_shared_memory},     {"max_push_constants", l.max_push_constants},
          {"max_storage_buffers", l.max_storage_buffers}, {"max_storage_range", l.max_storage_range},
          {"storage_alignment", l.storage_alignment},     {"max_texel_elements", l.max_texel_elements},
          {"max_allocation", l.max_allocation},           {"heap_cap", l.heap_cap}};
}

/// The kernel variants that lead on a device, by op, for the ops that have a choice: of each op's first case.
Json variants_json(const vk::DeviceProfile& profile) {
  Json result = Json::object();
  for (const graph::OpEntry& op : ops::op_table().entries()) {
    if (!op.def->variants) continue;
    const graph::OpCase op_case = op.cases().back();
    graph::Graph graph(ops::op_table());
    std::vector<graph::Value> inputs;
    for (std::size_t i = 0; i < op_case.inputs.size(); ++i)
      inputs.push_back(op_case.inputs[i].present
                           ? graph.input(fmt::format("in{}", i), op_case.inputs[i].shape, op_case.inputs[i].dtype)
                           : graph::Value{});
    graph.op(op.def->name, std::span<const graph::Value>(inputs), op_case.attrs);
    result[std::string(op.def->name)] = graph::variants_of(graph, graph.nodes().front(), profile);
  }
  return result;
}

std::string joined(const Json& list) {
  std::string text;
  for (const auto& entry : list) text += (text.empty() ? "" : ", ") + entry.get<std::string>();
  return text;
}

/// Whether an op's name contains the filter; "=NAME" is one op's.
bool is_asked_for(std::string_view op, std::string_view filter) {
  return filter.starts_with('=') ? op == filter.substr(1) : op.find(filter) != std::string_view::npos;
}

/// Throws kInvalidArgument unless the filter asks for some op.
void require_match(const std::string& filter) {
  std::vector<std::string> names;
  for (const graph::OpEntry& op : ops::op_table().entries()) names.emplace_back(op.def->name);
  if (std::none_of(names.begin(), names.end(), [&](const std::string& name) { return is_asked_for(name, filter); }))
    fail(ErrorCode::kInvalidArgument, "no op has \"{}\" in its name{}", filter, did_you_mean(filter, names));
}

/// Every kernel of the ops' cases, compiled and not run.
int check_compile(const CheckArgs& args) {
  const std::unique_ptr<vk::Device> device = open_to_compile(args.device, args.compile);
  std::vector<KernelToCompile> kernels;
  for (const graph::OpEntry& op : ops::op_table().entries()) {
    if (!is_asked_for(op.def->name, args.filter)) continue;
    for (graph::CaseKernel& kernel : graph::case_kernels(device->profile(), ops::op_table(), op,
                                                         {.variants = args.quick ? std::size_t{1} : SIZE_MAX}))
      kernels.push_back({std::move(kernel.key), fmt::format("{}/{} {}", kernel.op, kernel.case_name, kernel.variant),
                         kernel.is_default});
  }
  return compile_report(*device, kernels, args.compile, args.json);
}

}  // namespace

int devices(const DevicesArgs& args) {
  const std::vector<vk::DeviceInfo> found = vk::Device::enumerate(args.device);
  if (found.empty())
    fail(ErrorCode::kDevice,
         "no Vulkan device; install your GPU's Vulkan driver (on Debian mesa-vulkan-drivers has most, and a software "
         "one)");
  Json list = Json::array();
  for (const vk::DeviceInfo& device : found) {
    const Json limits = limits_json(device.profile.limits), features = features_json(device.profile.features),
               variants = variants_json(device.profile);
    if (args.json) {
      list.push_back({{"index", device.index},
                      {"name", device.name},
                      {"class", class_name(device.profile.device_class)},
                      {"driver", device.driver},
                      {"api_version", device.api_version},
                      {"device_uuid", device.device_uuid},
                      {"driver_uuid", device.driver_uuid},
                      {"device_memory", device.device_memory},
                      {"unified_memory", device.profile.unified_memory},
                      {"usable", device.usable},
                      {"why_not", device.why_not},
                      {"incomplete", device.incomplete},
                      {"limits", limits},
                      {"features", features},
                      {"variants", variants}});
      continue;
    }
    print("{}: {} ({}{})\n", device.index, device.profile.name, class_name(device.profile.device_class),
          device.profile.unified_memory ? ", unified memory" : "");
    print("   driver {}, Vulkan {}, {:.0f} MiB\n", device.driver, device.api_version, mib(device.device_memory));
    if (!device.usable) print("   not usable: {}\n", device.why_not);
    if (device.incomplete) print("   implements a part of Vulkan (portability subset)\n");
    print("   limits: {} invocations, {} KiB shared memory, {:.0f} MiB storage range, {:.0f} MiB an allocation\n",
          limits["max_invocations"].dump(), device.profile.limits.max_shared_memory >> 10,
          mib(device.profile.limits.max_storage_range), mib(device.profile.limits.max_allocation));
    std::string on;
    for (const auto& [name, value] : features.items())
      if (value.is_boolean() && value.get<bool>()) on += (on.empty() ? "" : ", ") + name;
    const vk::Features& f = device.profile.features;
    const std::string range = f.min_subgroup_size == f.max_subgroup_size
                                  ? std::string()
                                  : fmt::format(" ({} to {})", f.min_subgroup_size, f.max_subgroup_size);
    print("   subgroups of {}{}; {}\n", f.subgroup_size, range, on.empty() ? "no optional feature" : on);
    for (const auto& [name, value] : variants.items()) print("   {}: {}\n", name, joined(value));
  }
  if (args.json) print("{}\n", dump(list, 2));
  return 0;
}

int check(const CheckArgs& args) {
  require_match(args.filter);
  if (args.compile.compile) return check_compile(args);
  const std::unique_ptr<vk::Device> device = vk::Device::open(args.device);
  info("checking on {} ({})", device->profile().name, device->info().driver);
  Json list = Json::array();
  int checks = 0, misses = 0;
  if (!args.json) print("{:<30} {:>6} {:>7} {:>10}\n", "op", "checks", "misses", "worst");
  for (const graph::OpEntry& op : ops::op_table().entries()) {
    if (!is_asked_for(op.def->name, args.filter)) continue;
    if (progress_redraws()) log_progress(fmt::format("checking {}", op.def->name));
    double worst = 0;
    int op_checks = 0, op_misses = 0;
    std::vector<std::string> details;
    for (const graph::CheckResult& result :
         graph::check_op(*device, ops::op_table(), op, {.repeats = args.repeats, .large = !args.quick})) {
      ++op_checks;
      op_misses += !result.ok;
      worst = std::max(worst, result.worst);
      if (!result.ok)
        details.push_back(fmt::format("{}/{} {}: {}", result.op, result.case_name, result.variant, result.detail));
      list.push_back({{"op", result.op},
                      {"case", result.case_name},
                      {"variant", result.variant},
                      {"ok", result.ok},
                      {"worst", result.worst},
                      {"detail", result.detail}});
    }
    log_progress({});
    if (!args.json) print("{:<30} {:>6} {:>7} {:>10.3f}\n", op.def->name, op_checks, op_misses, worst);
    for (const std::string& detail : details)
      if (!args.json) print("  MISS {}\n", detail);
    checks += op_checks;
    misses += op_misses;
  }
  const std::uint64_t messages = device->validation_messages();
  if (args.json)
    print("{}\n", dump({{"device", device->profile().name},
                        {"driver", device->info().driver},
                        {"checks", checks},
                        {"misses", misses},
                        {"validation_messages", messages},
                        {"results", list}},
                       2));
  else
    print("{} checks, {} misses{}; worst is the largest difference over what is allowed\n", checks, misses,
          args.device.validate ? fmt::format(", {} validation messages", messages) : "");
  device->save_pipeline_cache();
  return misses == 0 && messages == 0 ? 0 : 1;
}

int bench_ops(const BenchArgs& args) {
  const std::unique_ptr<vk::Device> device = vk::Device::open(args.device);
  Table table =
      bench::bench_ops(*device, {.filter = args.filter, .seconds = args.seconds, .all_variants = args.all_variants});
  table.notes = bench::machine_notes(*device);
  print("{}", table_text(table, args.format));
  return 0;
}

}  // namespace fabula::app
