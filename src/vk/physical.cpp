#include "vk/physical.hpp"

#include <algorithm>
#include <array>

#include "base/fail.hpp"
#include "vk/cooperative_matrix.hpp"
#include "vk/portability.hpp"
#include "vk/result.hpp"

namespace fabula::vk {
namespace {

/// Builds a pNext chain: each structure is put in front of the last.
template <class Head, class Next>
void chain(Head& head, Next& next) {
  next.pNext = head.pNext;
  head.pNext = &next;
}

std::string version_text(std::uint32_t version) {
  return fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version),
                     VK_API_VERSION_PATCH(version));
}

std::string uuid_text(const std::uint8_t (&uuid)[VK_UUID_SIZE]) {
  std::string text;
  for (std::uint8_t byte : uuid) text += fmt::format("{:02x}", byte);
  return text;
}

DeviceClass device_class(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return DeviceClass::kDiscrete;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return DeviceClass::kIntegrated;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return DeviceClass::kVirtual;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return DeviceClass::kSoftware;
    default:
      return DeviceClass::kOther;
  }
}

std::vector<std::string> device_extensions(VkPhysicalDevice device) {
  std::uint32_t count = 0;
  check(vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr), "listing a device's extensions");
  std::vector<VkExtensionProperties> list(count);
  check(vkEnumerateDeviceExtensionProperties(device, nullptr, &count, list.data()), "listing a device's extensions");
  std::vector<std::string> names;
  for (const auto& extension : list) names.emplace_back(extension.extensionName);
  return names;
}

struct Queried {
  VkPhysicalDeviceProperties properties;
  VkPhysicalDeviceIDProperties id{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
  VkPhysicalDeviceMaintenance3Properties maintenance3{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
  VkPhysicalDeviceSubgroupProperties subgroup{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
  VkPhysicalDeviceDriverProperties driver{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
  VkPhysicalDeviceMaintenance4Properties maintenance4{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES};
  VkPhysicalDeviceSubgroupSizeControlProperties size_control{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
  VkPhysicalDevice16BitStorageFeatures storage16{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES};
  VkPhysicalDeviceShaderFloat16Int8Features float16{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES};
  VkPhysicalDeviceSubgroupSizeControlFeatures size_features{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
  VkPhysicalDeviceVulkanMemoryModelFeatures memory_model{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES};
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
  VkPhysicalDeviceCooperativeMatrixFeaturesNV coop_nv{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV};
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop_khr{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
  VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR};
};

/// Asks for every structure that this device's version or extensions allow; the others stay zero.
Queried query(const PhysicalDevice& device) {
  const auto offers = [&](std::uint32_t core_since, const char* extension) {
    return device.api_version >= core_since || device.has_extension(extension);
  };
  Queried q;
  VkPhysicalDeviceProperties2 properties{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
  VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  chain(properties, q.id);
  chain(properties, q.maintenance3);
  chain(properties, q.subgroup);
  chain(features, q.storage16);
  if (offers(VK_API_VERSION_1_2, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME)) chain(properties, q.driver);
  if (offers(VK_API_VERSION_1_3, VK_KHR_MAINTENANCE_4_EXTENSION_NAME)) chain(properties, q.maintenance4);
  if (offers(VK_API_VERSION_1_2, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME)) chain(features, q.float16);
  if (offers(VK_API_VERSION_1_3, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
    chain(properties, q.size_control);
    chain(features, q.size_features);
  }
  if (offers(VK_API_VERSION_1_2, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME)) chain(features, q.memory_model);
  if (device.has_extension(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME)) chain(features, q.executables);
  if (device.has_extension(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME)) chain(features, q.coop_nv);
  if (device.has_extension(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) chain(features, q.coop_khr);
  if (device.has_extension(VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME)) chain(features, q.bfloat16);
  vkGetPhysicalDeviceProperties2(device.handle, &properties);
  vkGetPhysicalDeviceFeatures2(device.handle, &features);
  q.properties = properties.properties;
  return q;
}

Limits read_limits(const Queried& q) {
  const VkPhysicalDeviceLimits& from = q.properties.limits;
  Limits to;
  to.max_invocations = from.maxComputeWorkGroupInvocations;
  for (std::size_t i = 0; i < 3; ++i) {
    to.max_workgroup_size[i] = from.maxComputeWorkGroupSize[i];
    // Some devices take 2^31-1 in x; one rule for all keeps kernels honest.
    to.max_workgroup_count[i] = std::min<std::uint32_t>(from.maxComputeWorkGroupCount[i], 65535);
  }
  to.max_workgroup_subgroups = q.size_control.maxComputeWorkgroupSubgroups;
  to.max_shared_memory = from.maxComputeSharedMemorySize;
  to.max_push_constants = from.maxPushConstantsSize;
  to.max_storage_buffers = std::min(from.maxPerStageDescriptorStorageBuffers, from.maxDescriptorSetStorageBuffers);
  to.max_storage_range = from.maxStorageBufferRange;
  // 16: a vec4 load is aligned on every device.
  to.storage_alignment =
      std::max<std::uint64_t>({16, from.minStorageBufferOffsetAlignment, from.minTexelBufferOffsetAlignment});
  to.max_texel_elements = from.maxTexelBufferElements;
  to.max_allocation = q.maintenance3.maxMemoryAllocationSize;
  if (q.maintenance4.maxBufferSize != 0) to.max_allocation = std::min(to.max_allocation, q.maintenance4.maxBufferSize);
  return to;
}

/// Whether 16x16x16 products of 16-bit floats with fp32 sums at subgroup scope are among what the device lists.
template <class Shape, class List, class IsWanted>
bool lists_shape(const PhysicalDevice& device, List list, VkStructureType type, IsWanted is_wanted) {
  if (list == nullptr) return false;
  std::uint32_t count = 0;
  if (list(device.handle, &count, nullptr) < 0) return false;
  Shape blank{};
  blank.sType = type;
  std::vector<Shape> shapes(count, blank);
  if (list(device.handle, &count, shapes.data()) < 0) return false;
  return std::any_of(shapes.begin(), shapes.end(),
                     [&](const Shape& s) { return s.MSize == 16 && s.NSize == 16 && s.KSize == 16 && is_wanted(s); });
}

bool has_fp16_cooperative_matrix_nv(const Instance& instance, const PhysicalDevice& device) {
  return lists_shape<VkCooperativeMatrixPropertiesNV>(
      device,
      instance.function<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesNV>(
          "vkGetPhysicalDeviceCooperativeMatrixPropertiesNV"),
      VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV, [](const auto& s) {
        return s.AType == VK_COMPONENT_TYPE_FLOAT16_NV && s.BType == VK_COMPONENT_TYPE_FLOAT16_NV &&
               s.CType == VK_COMPONENT_TYPE_FLOAT32_NV && s.DType == VK_COMPONENT_TYPE_FLOAT32_NV &&
               s.scope == VK_SCOPE_SUBGROUP_NV;
      });
}

bool has_cooperative_matrix_khr(const Instance& instance, const PhysicalDevice& device, VkComponentTypeKHR type) {
  return lists_shape<VkCooperativeMatrixPropertiesKHR>(
      device,
      instance.function<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
          "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"),
      VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR, [type](const auto& s) {
        return s.AType == type && s.BType == type && s.CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
               s.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR && s.scope == VK_SCOPE_SUBGROUP_KHR &&
               !s.saturatingAccumulation;
      });
}

Features read_features(const Instance& instance, const PhysicalDevice& device, const Queried& q) {
  Features f;
  const bool compute = (q.subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  const auto subgroup = [&](VkSubgroupFeatureFlags bits) {
    return compute && (q.subgroup.supportedOperations & bits) == bits;
  };
  f.subgroup_shuffle = subgroup(VK_SUBGROUP_FEATURE_SHUFFLE_BIT);
  f.subgroup_arithmetic = subgroup(VK_SUBGROUP_FEATURE_ARITHMETIC_BIT);
  f.subgroup_ballot = subgroup(VK_SUBGROUP_FEATURE_BALLOT_BIT);
  f.subgroup_size = std::max(1u, q.subgroup.subgroupSize);
  f.min_subgroup_size = f.max_subgroup_size = f.subgroup_size;
  if (q.size_features.subgroupSizeControl && q.size_features.computeFullSubgroups) {
    f.full_subgroups = true;
    f.subgroup_size_control = (q.size_control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    f.min_subgroup_size = q.size_control.minSubgroupSize;
    f.max_subgroup_size = q.size_control.maxSubgroupSize;
  }
  f.storage_16bit = q.storage16.storageBuffer16BitAccess != VK_FALSE;
  f.float16 = q.float16.shaderFloat16 != VK_FALSE;
  VkFormatProperties format{};
  vkGetPhysicalDeviceFormatProperties(device.handle, VK_FORMAT_R32G32B32A32_SFLOAT, &format);
  f.texel_float4 = (format.bufferFeatures & VK_FORMAT_FEATURE_UNIFORM_TEXEL_BUFFER_BIT) != 0;
  const bool coop = f.float16 && q.memory_model.vulkanMemoryModel;
  f.cooperative_matrix_nv = coop && q.coop_nv.cooperativeMatrix && has_fp16_cooperative_matrix_nv(instance, device);
  const auto khr = [&](VkComponentTypeKHR type) {
    return coop && q.coop_khr.cooperativeMatrix && has_cooperative_matrix_khr(instance, device, type);
  };
  f.cooperative_matrix_khr = khr(VK_COMPONENT_TYPE_FLOAT16_KHR);
  f.cooperative_matrix_bf16 = q.bfloat16.shaderBFloat16Type && q.bfloat16.shaderBFloat16CooperativeMatrix &&
                              khr(VK_COMPONENT_TYPE_BFLOAT16_KHR);
  f.timestamps = device.timestamp_bits != 0 && q.properties.limits.timestampPeriod > 0;
  f.memory_budget = device.has_extension(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  return f;
}

/// A family with compute and without graphics keeps long kernels out of the desktop's way; any with compute will do.
bool find_queue_family(PhysicalDevice& device) {
  std::uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(device.handle, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(device.handle, &count, families.data());
  int best = -1;
  for (std::uint32_t i = 0; i < count; ++i) {
    if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0 || families[i].queueCount == 0) continue;
    if (best < 0) best = static_cast<int>(i);
    if ((families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0) {
      best = static_cast<int>(i);
      break;
    }
  }
  if (best < 0) return false;
  device.queue_family = static_cast<std::uint32_t>(best);
  device.timestamp_bits = families[device.queue_family].timestampValidBits;
  return true;
}

void read_memory(PhysicalDevice& device) {
  vkGetPhysicalDeviceMemoryProperties(device.handle, &device.memory);
  std::uint32_t largest = UINT32_MAX;
  for (std::uint32_t heap = 0; heap < device.memory.memoryHeapCount; ++heap) {
    const VkMemoryHeap& h = device.memory.memoryHeaps[heap];
    if ((h.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) == 0 || h.size <= device.info.device_memory) continue;
    device.info.device_memory = h.size;
    largest = heap;
  }
  // A discrete card with a mappable heap (resizable BAR) is not unified: the host reads it across the bus, uncached.
  if (device.info.profile.device_class == DeviceClass::kDiscrete) return;
  constexpr VkMemoryPropertyFlags kWanted =
      VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  for (std::uint32_t type = 0; type < device.memory.memoryTypeCount; ++type) {
    const VkMemoryType& t = device.memory.memoryTypes[type];
    if (t.heapIndex == largest && (t.propertyFlags & kWanted) == kWanted) device.info.profile.unified_memory = true;
  }
}

PhysicalDevice describe(const Instance& instance, VkPhysicalDevice handle) {
  PhysicalDevice device;
  device.handle = handle;
  VkPhysicalDeviceProperties basic{};
  vkGetPhysicalDeviceProperties(handle, &basic);
  device.api_version =
      std::min<std::uint32_t>({basic.apiVersion, volkGetInstanceVersion(), VK_MAKE_API_VERSION(0, 1, 3, 0xfff)});
  device.vendor_id = basic.vendorID;
  device.device_id = basic.deviceID;
  device.driver_version = basic.driverVersion;
  std::copy_n(basic.pipelineCacheUUID, VK_UUID_SIZE, device.pipeline_cache_uuid.begin());
  DeviceInfo& info = device.info;
  info.name = info.profile.name = basic.deviceName;
  info.api_version = version_text(basic.apiVersion);
  info.profile.device_class = device_class(basic.deviceType);
  if (basic.apiVersion < VK_API_VERSION_1_1) {
    info.usable = info.compiles = false;
    info.why_not = fmt::format("its driver speaks Vulkan {}, fabula needs 1.1", info.api_version);
    return device;
  }
  device.extensions = device_extensions(handle);
  info.incomplete = !device_portability(device.extensions).empty();
  const bool queue = find_queue_family(device);
  const Queried q = query(device);
  info.driver = q.driver.driverName[0] != '\0' ? fmt::format("{} {}", q.driver.driverName, q.driver.driverInfo)
                                               : fmt::format("version {:#x}", basic.driverVersion);
  info.device_uuid = uuid_text(q.id.deviceUUID);
  info.driver_uuid = uuid_text(q.id.driverUUID);
  device.quirks = quirks_of({.driver_id = q.driver.driverID,
                             .driver_version = basic.driverVersion,
                             .software = info.profile.device_class == DeviceClass::kSoftware,
                             .subgroup_sizes_vary = q.size_control.minSubgroupSize != q.size_control.maxSubgroupSize});
  device.timestamp_period = q.properties.limits.timestampPeriod;
  info.profile.limits = read_limits(q);
  info.profile.features = read_features(instance, device, q);
  read_memory(device);
  info.statistics = q.executables.pipelineExecutableInfo != VK_FALSE;
  if (!queue) {
    info.usable = info.compiles = false;
    info.why_not = "it has no compute queue";
  } else if (const std::uint32_t has = info.profile.limits.max_storage_buffers, needed = Limits{}.max_storage_buffers;
             has < needed) {  // the one limit for which the baseline takes more than the specification promises
    info.usable = info.compiles = false;
    info.why_not = fmt::format("a kernel may bind {} storage buffers, fabula's take {}", has, needed);
  } else if (device.memory.memoryTypeCount == 0) {  // a driver that imitates a GPU that is not there
    info.usable = false;
    info.why_not = "it has no memory; kernels can be compiled for it (fabula check --compile), and none can run";
  }
  return device;
}

int rank(const PhysicalDevice& device) {
  if (!device.info.usable) return 100;
  switch (device.info.profile.device_class) {
    case DeviceClass::kDiscrete:
      return 0;
    case DeviceClass::kIntegrated:
      return 1;
    case DeviceClass::kVirtual:
      return 2;
    case DeviceClass::kOther:
      return 3;
    case DeviceClass::kSoftware:
      return 4;
  }
  return 5;
}

}  // namespace

bool PhysicalDevice::has_extension(std::string_view name) const {
  return std::find(extensions.begin(), extensions.end(), name) != extensions.end();
}

std::vector<PhysicalDevice> list_devices(const Instance& instance) {
  std::vector<PhysicalDevice> devices;
  for (VkPhysicalDevice handle : instance.physical_devices()) devices.push_back(describe(instance, handle));
  std::stable_sort(devices.begin(), devices.end(), [](const auto& a, const auto& b) { return rank(a) < rank(b); });
  for (std::size_t i = 0; i < devices.size(); ++i) devices[i].info.index = static_cast<std::uint32_t>(i);
  return devices;
}

}  // namespace fabula::vk
