#include "vk/loader_text.hpp"

namespace fabula::vk {

const std::string_view kLoaderMissing =
    "no Vulkan loader (vulkan-1.dll) found. It comes with the driver of the graphics card: install the newest one of "
    "AMD, Intel, NVIDIA or Qualcomm, or the Vulkan runtime of https://vulkan.lunarg.com/sdk/home";
const std::string_view kLoaderUpdate = "install a newer driver of the graphics card";
const char kListSeparator = ';';

}  // namespace fabula::vk
