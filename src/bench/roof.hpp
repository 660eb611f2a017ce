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

/// What a launch costs besides its work.
struct FixedCosts {
  double launch = 0;      ///< seconds of one that waits for the one before it, in a long list
  double timed = 0;       ///< what timestamps around such a launch tell; 0 without timestamps
  double submission = 0;  ///< from a submission until the host knows that it is over, the launches' cost aside
};
FixedCosts measure_fixed_costs(vk::Device& device);

/// Bytes of the largest copy that measure_roof makes, read and written.
double largest_copy(const vk::Device& device);
/// Bytes a second of copies that move `bytes` each, again and again between the same buffers, without what their
/// launches cost.
double measure_copies(vk::Device& device, double bytes, double launch_seconds);

/// Bytes a second from host memory to the device's and back.
struct TransferRates {
  double upload = 0, download = 0;
};
TransferRates measure_transfers(vk::Device& device);

}  // namespace fabula::bench
