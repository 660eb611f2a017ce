#pragma once
#include "base/kernel_choices.hpp"
#include "formats/table.hpp"
#include "tuning/device_speed.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

/// What predictions need to know of a device, measured on it: multiply-adds, copies from cached sizes to large ones,
/// what launches and submissions cost, copies from and to the host; and how near the roof each kernel comes in training
/// and decoding steps of models of several shapes, none of them one of configs/. About a minute; `quick`: of the
/// smallest model alone, for a first look in seconds. Throws kUnsupported on a device without timestamps.
tuning::DeviceSpeed measure_speed(vk::Device& device, const KernelChoices& choices, bool quick = false);

/// A speed as a table: the roof, the fixed costs, and the kernels' shares of the roof.
Table speed_table(const tuning::DeviceSpeed& speed);

}  // namespace fabula::bench
