#include "vk/portability.hpp"

#include <algorithm>

namespace fabula::vk {
namespace {

constexpr const char* kEnumeration = "VK_KHR_portability_enumeration";
constexpr const char* kSubset = "VK_KHR_portability_subset";  // its name is behind VK_ENABLE_BETA_EXTENSIONS in headers

bool contains(std::span<const std::string> names, const char* name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

InstancePortability instance_portability(std::span<const std::string> available) {
  if (!contains(available, kEnumeration)) return {};
  return {.extensions = {kEnumeration}, .enumerate = true};
}

std::vector<const char*> device_portability(std::span<const std::string> available) {
  if (!contains(available, kSubset)) return {};
  return {kSubset};
}

}  // namespace fabula::vk
