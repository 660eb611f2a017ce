#pragma once
#include <map>
#include <string>
#include <utility>

#include "vk/limits.hpp"

namespace fabula::graph {

/// Kernel variant by node_signature, as measured on a device; nodes that are not in it take the first variant that
/// their op lists.
using KernelChoices = std::map<std::string, std::string>;

/// What graphs are lowered for: a device, and the kernels that were found fastest there.
struct Target {
  vk::DeviceProfile profile;
  KernelChoices choices;

  Target(vk::DeviceProfile of = {}, KernelChoices measured = {})  // NOLINT: a device alone is a target
      : profile(std::move(of)), choices(std::move(measured)) {}
};

}  // namespace fabula::graph
