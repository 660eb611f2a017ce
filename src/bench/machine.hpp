#pragma once
#include <string>
#include <vector>

#include "vk/device.hpp"

namespace fabula::bench {

/// What a figure means nothing without: device, driver, processor and the fabula version, a line each.
std::vector<std::string> machine_notes(const vk::Device& device);

}  // namespace fabula::bench
