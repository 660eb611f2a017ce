#pragma once
#include <span>
#include <string>
#include <vector>

// Implementations of a part of Vulkan on top of another interface: MoltenVK on Metal. The loader lists their devices to
// those alone who ask for them, and a device wants its incompleteness acknowledged. What the subset may lack (triangle
// fans, views with swizzles, events, ...) no kernel or copy of fabula uses, so nothing more is switched on; what
// matters to compute, alignments and subgroups, such a device tells where any other does.
namespace fabula::vk {

/// What an instance asks for so that incomplete devices are listed.
struct InstancePortability {
  std::vector<const char*> extensions;
  bool enumerate = false;  ///< VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR
};
/// `available`: the instance extensions that there are. A loader that knows nothing of this lists all devices anyway.
InstancePortability instance_portability(std::span<const std::string> available);

/// What a device with these extensions must be opened with because it is incomplete; empty for complete ones.
std::vector<const char*> device_portability(std::span<const std::string> available);

}  // namespace fabula::vk
