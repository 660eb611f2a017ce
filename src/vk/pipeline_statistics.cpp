#include "vk/pipeline_statistics.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "vk/pipeline.hpp"
#include "vk/result.hpp"

namespace fabula::vk {
namespace {

using Number = std::optional<std::uint64_t>;

/// What drivers call a number: radv_pipeline.c, anv_pipeline.c and tu_pipeline.cc of Mesa 22.3 to 25.0, NVIDIA's and
/// AMD's own drivers by what they print.
struct Spelling {
  std::string_view name;
  Number PipelineStatistics::*number;
  std::uint64_t unit = 1;
};
constexpr std::array kSpellings{
    Spelling{"VGPRs", &PipelineStatistics::registers},
    Spelling{"Spilled VGPRs", &PipelineStatistics::spills},
    Spelling{"Spilled SGPRs", &PipelineStatistics::spills},
    Spelling{"LDS size", &PipelineStatistics::shared_memory},
    Spelling{"Scratch size", &PipelineStatistics::scratch},
    Spelling{"Subgroups per SIMD", &PipelineStatistics::waves},
    Spelling{"Spill Count", &PipelineStatistics::spills},
    Spelling{"Scratch Memory Size", &PipelineStatistics::scratch},
    Spelling{"Workgroup Memory Size", &PipelineStatistics::shared_memory},
    Spelling{"Max live registers", &PipelineStatistics::registers},
    Spelling{"Registers used", &PipelineStatistics::registers, 4},  // Turnip counts vec4s
    Spelling{"STP Count", &PipelineStatistics::spills},
    Spelling{"Max Waves Per Core", &PipelineStatistics::waves},
    Spelling{"Register Count", &PipelineStatistics::registers},
    Spelling{"Local Memory Size", &PipelineStatistics::scratch},
    Spelling{"Shared Memory Size", &PipelineStatistics::shared_memory},
    Spelling{"numUsedVgprs", &PipelineStatistics::registers},
    Spelling{"scratchMemUsageInBytes", &PipelineStatistics::scratch},
    Spelling{"ldsUsageSizeInBytes", &PipelineStatistics::shared_memory},
};

}  // namespace

PipelineStatistics common_statistics(std::vector<Statistic> all, std::uint32_t subgroup_size) {
  PipelineStatistics found;
  found.subgroup_size = subgroup_size;
  for (const Statistic& statistic : all)
    for (const Spelling& spelling : kSpellings) {
      if (statistic.name != spelling.name) continue;
      Number& number = found.*spelling.number;
      // NVIDIA's 580 has a second number in the upper half of its "Local Memory Size".
      const auto value = static_cast<std::uint64_t>(std::max(0.0, statistic.value)) & 0xFFFFFFFFu;
      number = number.value_or(0) + spelling.unit * value;
    }
  found.all = std::move(all);
  return found;
}

PipelineStatistics worst_of(std::span<const PipelineStatistics> executables) {
  PipelineStatistics worst;
  const auto take = [](Number& to, const Number& from, auto worse) {
    if (from) to = to ? worse(*to, *from) : *from;
  };
  const auto most = [](std::uint64_t a, std::uint64_t b) { return std::max(a, b); };
  const auto least = [](std::uint64_t a, std::uint64_t b) { return std::min(a, b); };
  for (const PipelineStatistics& one : executables) {
    worst.subgroup_size = std::max(worst.subgroup_size, one.subgroup_size);
    take(worst.registers, one.registers, most);
    take(worst.spills, one.spills, most);
    take(worst.scratch, one.scratch, most);
    take(worst.shared_memory, one.shared_memory, most);
    take(worst.waves, one.waves, least);
    worst.all.insert(worst.all.end(), one.all.begin(), one.all.end());
  }
  return worst;
}

PipelineStatistics read_statistics(DeviceRef device, VkPipeline pipeline) {
  const VkPipelineInfoKHR info{VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, nullptr, pipeline};
  const char* const doing = "reading a pipeline's statistics";
  std::uint32_t count = 0;
  check(device.table->vkGetPipelineExecutablePropertiesKHR(device.device, &info, &count, nullptr), doing);
  std::vector<VkPipelineExecutablePropertiesKHR> executables(count,
                                                             {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR});
  check(device.table->vkGetPipelineExecutablePropertiesKHR(device.device, &info, &count, executables.data()), doing);
  std::vector<PipelineStatistics> found;
  for (std::uint32_t i = 0; i < count; ++i) {
    const VkPipelineExecutableInfoKHR which{VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, nullptr, pipeline, i};
    std::uint32_t numbers = 0;
    check(device.table->vkGetPipelineExecutableStatisticsKHR(device.device, &which, &numbers, nullptr), doing);
    std::vector<VkPipelineExecutableStatisticKHR> list(numbers, {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR});
    check(device.table->vkGetPipelineExecutableStatisticsKHR(device.device, &which, &numbers, list.data()), doing);
    std::vector<Statistic> all;
    for (const VkPipelineExecutableStatisticKHR& one : list) {
      double value = 0;
      switch (one.format) {
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
          value = one.value.b32 != VK_FALSE;
          break;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
          value = static_cast<double>(one.value.i64);
          break;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
          value = static_cast<double>(one.value.u64);
          break;
        default:
          value = one.value.f64;
      }
      all.push_back({std::string(one.name), value});
    }
    found.push_back(common_statistics(std::move(all), executables[i].subgroupSize));
  }
  return worst_of(found);
}

}  // namespace fabula::vk
