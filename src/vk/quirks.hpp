#pragma once
#include <cstdint>
#include <string_view>

namespace fabula::vk {

/// What is known of a driver beyond what it reports. Each entry of quirks.cpp names its source.
struct Quirks {
  std::uint64_t max_loop_iterations = 0;  ///< an invocation may run over all its loops; 0: no limit known
  double submit_seconds = 0.5;            ///< time one submission may take before it is cut
  /// No statistics are asked for of shaders whose names begin and end so; empty: of all.
  std::string_view untold_begin, untold_end;

  bool tells(std::string_view shader) const {
    return untold_begin.empty() || !shader.starts_with(untold_begin) || !shader.ends_with(untold_end);
  }
};

/// What quirks are known by.
struct DriverFacts {
  std::uint32_t driver_id = 0;  ///< a VkDriverId; 0: not said
  std::uint32_t driver_version = 0;
  bool software = false;
  bool subgroup_sizes_vary = false;
};
Quirks quirks_of(const DriverFacts& driver);

}  // namespace fabula::vk
