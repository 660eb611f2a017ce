#include "vk/loader_text.hpp"

namespace fabula::vk {

const std::string_view kLoaderMissing =
    "no Vulkan loader (libvulkan.so.1) found. Install it with a driver: Debian and Ubuntu `apt install libvulkan1 "
    "mesa-vulkan-drivers`, Fedora `dnf install vulkan-loader mesa-vulkan-drivers`; NVIDIA's driver package brings "
    "its own";
const std::string_view kLoaderUpdate = "update it (package libvulkan1)";
const char kListSeparator = ':';

}  // namespace fabula::vk
