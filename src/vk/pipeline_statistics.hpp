#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fabula::vk {

/// One number that a driver tells of a compiled kernel, under its own name.
struct Statistic {
  std::string name;
  double value = 0;
};

/// What a driver's compiler made of a kernel; what it does not say is absent.
struct PipelineStatistics {
  std::uint32_t subgroup_size = 0;             ///< that it was compiled for; 0: not said
  std::optional<std::uint64_t> registers;      ///< of 32 bits, an invocation's
  std::optional<std::uint64_t> spills;         ///< registers or instructions that move them, as the driver counts
  std::optional<std::uint64_t> scratch;        ///< bytes of memory that stand in for registers
  std::optional<std::uint64_t> shared_memory;  ///< bytes a workgroup
  std::optional<std::uint64_t> waves;          ///< subgroups at most on one core or SIMD unit at a time
  std::vector<Statistic> all;

  bool is_spilled() const { return spills.value_or(0) > 0 || scratch.value_or(0) > 0; }
  /// As KernelFaults says it.
  std::uint64_t fault() const { return is_spilled() ? std::max<std::uint64_t>(1, spills.value_or(1)) : 0; }
};

/// Finds the common numbers among those of one executable, whatever the driver calls them.
PipelineStatistics common_statistics(std::vector<Statistic> all, std::uint32_t subgroup_size);

/// A pipeline may be compiled at several widths, of which the driver picks one when it runs: the worst of each number.
PipelineStatistics worst_of(std::span<const PipelineStatistics> executables);

}  // namespace fabula::vk
