/* The system's Vulkan loader, but that it or its devices are worse: FAKE_VULKAN is "loader" (of Vulkan 1.0), "version"
 * (devices of 1.0), "queue" (devices without a compute queue) or "bindings" (4 storage buffers a kernel, the
 * specification's least). */
#define _GNU_SOURCE
#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

static int is(const char* mode) {
  const char* set = getenv("FAKE_VULKAN");
  return set != NULL && strcmp(set, mode) == 0;
}

/* dlopen and dlsym hand out functions as objects. */
static void find(void* library, const char* name, void* function) {
  *(void**)function = dlsym(library, name);
}

static PFN_vkGetInstanceProcAddr loader(void) {
  static PFN_vkGetInstanceProcAddr function = NULL;
  if (function == NULL) {
    void* (*open)(const char*, int) = NULL;
    find(RTLD_NEXT, "dlopen", &open); /* not the program's, which leads here */
    find(open("libvulkan.so.1", RTLD_NOW), "vkGetInstanceProcAddr", &function);
  }
  return function;
}

static PFN_vkGetPhysicalDeviceProperties properties;
static PFN_vkGetPhysicalDeviceProperties2 properties2;
static PFN_vkGetPhysicalDeviceQueueFamilyProperties families;

static VKAPI_ATTR void VKAPI_CALL worse_properties(VkPhysicalDevice device, VkPhysicalDeviceProperties* told) {
  properties(device, told);
  if (is("version")) told->apiVersion = VK_API_VERSION_1_0;
}

static VKAPI_ATTR void VKAPI_CALL worse_properties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2* told) {
  properties2(device, told);
  if (is("bindings")) told->properties.limits.maxPerStageDescriptorStorageBuffers = 4;
}

static VKAPI_ATTR void VKAPI_CALL worse_families(VkPhysicalDevice device, uint32_t* count,
                                                 VkQueueFamilyProperties* told) {
  families(device, count, told);
  if (told == NULL || !is("queue")) return;
  for (uint32_t i = 0; i < *count; ++i) told[i].queueFlags &= ~(VkQueueFlags)VK_QUEUE_COMPUTE_BIT;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char* name);
__attribute__((visibility("default"))) VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL
vkGetInstanceProcAddr(VkInstance instance, const char* name) {
  const PFN_vkVoidFunction function = loader()(instance, name);
  if (function == NULL || strcmp(name, "vkGetInstanceProcAddr") == 0)
    return function == NULL ? NULL : (PFN_vkVoidFunction)vkGetInstanceProcAddr;
  if (strcmp(name, "vkEnumerateInstanceVersion") == 0 && is("loader")) return NULL;
  if (strcmp(name, "vkGetPhysicalDeviceProperties") == 0) {
    properties = (PFN_vkGetPhysicalDeviceProperties)function;
    return (PFN_vkVoidFunction)worse_properties;
  }
  if (strcmp(name, "vkGetPhysicalDeviceProperties2") == 0) {
    properties2 = (PFN_vkGetPhysicalDeviceProperties2)function;
    return (PFN_vkVoidFunction)worse_properties2;
  }
  if (strcmp(name, "vkGetPhysicalDeviceQueueFamilyProperties") == 0) {
    families = (PFN_vkGetPhysicalDeviceQueueFamilyProperties)function;
    return (PFN_vkVoidFunction)worse_families;
  }
  return function;
}
