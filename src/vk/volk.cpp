// The one place that compiles volk, the lazy Vulkan loader: nothing of Vulkan is touched before volkInitialize() is
// called.
#define VK_NO_PROTOTYPES
#define VOLK_IMPLEMENTATION
#include <volk.h>
