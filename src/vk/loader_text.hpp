#pragma once
#include <string_view>

// What is said of the Vulkan loader, system by system.
namespace fabula::vk {

extern const std::string_view kLoaderMissing;  ///< what was not found, and where it comes from
extern const std::string_view kLoaderUpdate;   ///< how an old one is replaced
extern const char kListSeparator;              ///< between entries of the loader's environment variables

}  // namespace fabula::vk
