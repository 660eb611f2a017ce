#pragma once
#include <cstdint>
#include <string_view>

namespace fabula::vk {

/// What is known of a driver beyond what it reports. Each entry of quirks.cpp names its source.
struct Quirks {
  std::uint64_t max_loop_iterations = 0;  ///< an invocation may run over all its loops; 0: no limit known
  double submit_seconds = 0.5;            ///< time one submission may take before it is cut
};

/// `driver_id` is a VkDriverId, 0 when the driver does not say.
Quirks quirks_of(std::uint32_t driver_id, bool software);

}  // namespace fabula::vk
