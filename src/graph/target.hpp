#pragma once
#include <utility>

#include "base/kernel_choices.hpp"
#include "vk/limits.hpp"

namespace fabula::graph {

/// What graphs are lowered for: a device, and the kernels that were found fastest there.
struct Target {
  vk::DeviceProfile profile;
  KernelChoices choices;

  Target(vk::DeviceProfile of = {}, KernelChoices measured = {})  // NOLINT: a device alone is a target
      : profile(std::move(of)), choices(std::move(measured)) {}
};

}  // namespace fabula::graph
