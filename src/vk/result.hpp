#pragma once
#define VK_NO_PROTOTYPES
#include <volk.h>

#include <string_view>

namespace fabula::vk {

/// The name of a result code, "VK_ERROR_..." for the ones that can happen here.
std::string_view result_name(VkResult result);

/// Throws for an error code: kDeviceLost, kOutOfMemory or kDevice. `what` says what was tried.
void check(VkResult result, std::string_view what);

}  // namespace fabula::vk
