#pragma once
#include "vk/device.hpp"

namespace fabula::bench {

/// What a device reaches at best: measured on itself, with kernels that do nothing else.
struct Roof {
  double flops = 0;  ///< fp32 operations a second, from registers
  double bytes = 0;  ///< read and written a second, by a copy of vec4s much larger than any cache

  /// Seconds that work takes at least; whichever bound is higher decides.
  double seconds(double work_flops, double work_bytes) const;
  bool bound_by_memory(double work_flops, double work_bytes) const;
};

/// Takes about a second, and memory for two buffers that are freed again. Throws kOutOfMemory.
Roof measure_roof(vk::Device& device);

}  // namespace fabula::bench
