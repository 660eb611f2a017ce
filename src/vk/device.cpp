#include "vk/device.hpp"

#include <algorithm>
#include <cctype>

#include "base/fail.hpp"
#include "base/hash.hpp"
#include "vk/command_list_impl.hpp"
#include "vk/cooperative_matrix.hpp"
#include "vk/device_impl.hpp"
#include "vk/portability.hpp"
#include "vk/result.hpp"

namespace fabula::vk {
namespace {

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string listing(const std::vector<PhysicalDevice>& devices) {
  std::string text;
  for (const auto& device : devices) {
    text += fmt::format("\n  {}: {}{}", device.info.index, device.info.name,
                        device.info.usable ? "" : " (not usable: " + device.info.why_not + ")");
  }
  return text.empty() ? " none" : text;
}

bool will_do(const DeviceInfo& info, const DeviceOptions& options) {
  return options.only_compile ? info.compiles : info.usable;
}

const PhysicalDevice& named_device(const std::vector<PhysicalDevice>& devices, const DeviceOptions& options) {
  const std::string& wanted = options.device;
  const std::string part = lower_case(wanted);
  const PhysicalDevice* found = nullptr;
  for (const PhysicalDevice& device : devices) {
    const bool match = lower_case(device.info.name).find(part) != std::string::npos;
    if (match && (found == nullptr || (!will_do(found->info, options) && will_do(device.info, options))))
      found = &device;
  }
  for (const PhysicalDevice& device : devices)  // a number may be part of a name too: "4090"
    if (wanted == std::to_string(device.info.index)) found = &device;
  for (const PhysicalDevice& device : devices)
    if (part == lower_case(device.info.device_uuid)) found = &device;
  if (found == nullptr) {
    fail(ErrorCode::kInvalidArgument, "no device \"{}\"; give an index, part of a name, or a UUID. Devices here:{}",
         wanted, listing(devices));
  }
  if (!will_do(found->info, options)) {
    fail(ErrorCode::kDevice, "device {} ({}) cannot be used: {}. Devices here:{}", found->info.index, found->info.name,
         found->info.why_not, listing(devices));
  }
  return *found;
}

PhysicalDevice choose_device(const Instance& instance, const DeviceOptions& options) {
  const std::vector<PhysicalDevice> devices = list_devices(instance);
  const auto first =
      std::find_if(devices.begin(), devices.end(), [&](const auto& d) { return will_do(d.info, options); });
  if (first == devices.end()) {
    fail(ErrorCode::kDevice,
         "no usable Vulkan device. Install the driver of your GPU, or the software driver: Debian and Ubuntu `apt "
         "install mesa-vulkan-drivers`. Devices here:{}",
         listing(devices));
  }
  PhysicalDevice chosen = options.device.empty() ? *first : named_device(devices, options);
  apply_limits(chosen.info.profile, options.limits);
  std::uint64_t& cap = chosen.info.profile.limits.heap_cap;
  if (options.memory > 0) cap = cap == 0 ? options.memory : std::min(cap, options.memory);
  return chosen;
}

/// The features and extensions to switch on: what the (lowered) profile has, and no more.
class Creation {
 public:
  Creation(const PhysicalDevice& physical, bool statistics) : physical_(physical) {
    const Features& f = physical.info.profile.features;
    for (const char* name : device_portability(physical.extensions)) extensions_.push_back(name);
    if (f.memory_budget) extensions_.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (statistics) {
      extensions_.push_back(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
      executables_.pipelineExecutableInfo = VK_TRUE;
      chain(executables_);
    }
    if (f.storage_16bit) {
      storage16_.storageBuffer16BitAccess = VK_TRUE;
      chain(storage16_);
    }
    if (f.float16) {
      extension_before(VK_API_VERSION_1_2, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME);
      float16_.shaderFloat16 = VK_TRUE;
      chain(float16_);
    }
    if (f.full_subgroups) {
      extension_before(VK_API_VERSION_1_3, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
      size_control_.subgroupSizeControl = size_control_.computeFullSubgroups = VK_TRUE;
      chain(size_control_);
    }
    if (f.cooperative_matrix_nv) {
      extensions_.push_back(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME);
      coop_nv_.cooperativeMatrix = VK_TRUE;
      chain(coop_nv_);
    }
    if (f.cooperative_matrix_khr || f.cooperative_matrix_bf16) {
      extensions_.push_back(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
      coop_khr_.cooperativeMatrix = VK_TRUE;
      chain(coop_khr_);
    }
    if (f.cooperative_matrix_bf16) {
      extensions_.push_back(VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME);
      bfloat16_.shaderBFloat16Type = bfloat16_.shaderBFloat16CooperativeMatrix = VK_TRUE;
      chain(bfloat16_);
    }
    if (f.cooperative_matrix_nv || f.cooperative_matrix_khr || f.cooperative_matrix_bf16) {
      extension_before(VK_API_VERSION_1_2, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME);
      memory_model_.vulkanMemoryModel = VK_TRUE;
      chain(memory_model_);
    }
  }

  void create(LogicalDevice& logical) const {
    const float priority = 1.0f;
    VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queue.queueFamilyIndex = physical_.queue_family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features_};
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = static_cast<std::uint32_t>(extensions_.size());
    info.ppEnabledExtensionNames = extensions_.data();
    check(vkCreateDevice(physical_.handle, &info, nullptr, &logical.device), "opening " + physical_.info.name);
    volkLoadDeviceTable(&logical.table, logical.device);
  }

 private:
  template <class T>
  void chain(T& next) {
    next.pNext = features_.pNext;
    features_.pNext = &next;
  }
  void extension_before(std::uint32_t core_since, const char* name) {
    if (physical_.api_version < core_since) extensions_.push_back(name);
  }

  const PhysicalDevice& physical_;
  std::vector<const char*> extensions_;
  VkPhysicalDeviceFeatures2 features_{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDevice16BitStorageFeatures storage16_{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES};
  VkPhysicalDeviceShaderFloat16Int8Features float16_{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES};
  VkPhysicalDeviceSubgroupSizeControlFeatures size_control_{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
  VkPhysicalDeviceVulkanMemoryModelFeatures memory_model_{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES};
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables_{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
  VkPhysicalDeviceCooperativeMatrixFeaturesNV coop_nv_{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV};
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR coop_khr_{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
  VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16_{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR};
};

}  // namespace

Device::Impl::Impl(const DeviceOptions& options)
    : instance(options.validate, options.on_validation),
      physical(choose_device(instance, options)),
      statistics(options.statistics && physical.info.statistics) {
  Creation(physical, statistics).create(logical);
  table.vkGetDeviceQueue(logical.device, physical.queue_family, 0, &queue);
  if (instance.debug_utils()) {
    set_name = instance.function<PFN_vkSetDebugUtilsObjectNameEXT>("vkSetDebugUtilsObjectNameEXT");
  }
  const double usual_limit = profile().device_class == DeviceClass::kSoftware ? 3600 : 600;
  submissions = std::make_unique<SubmitQueue>(*this, physical.quirks.submit_seconds,
                                              options.wait_limit > 0 ? options.wait_limit : usual_limit);
  pipelines = std::make_unique<PipelineStore>(*this, options.cache_dir);
  physical.info.profile.faults = pipelines->notes().faults();
  self_test = options.self_test;
}

Device::Impl::~Impl() {
  submissions->settle();
  staging.reset();  // its buffers still count through this object
  if (logical.abandoned) instance.abandon();
}

void Device::Impl::name_object(VkObjectType type, std::uint64_t handle, const std::string& name) const {
  if (set_name == nullptr) return;
  VkDebugUtilsObjectNameInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT};
  info.objectType = type;
  info.objectHandle = handle;
  info.pObjectName = name.c_str();
  set_name(logical.device, &info);
}

std::vector<DeviceInfo> Device::enumerate(const DeviceOptions& options) {
  const Instance instance(options.validate, options.on_validation);
  std::vector<DeviceInfo> infos;
  for (PhysicalDevice& device : list_devices(instance)) {
    if (device.info.usable) apply_limits(device.info.profile, options.limits);
    infos.push_back(std::move(device.info));
  }
  return infos;
}

std::unique_ptr<Device> Device::open(const DeviceOptions& options) {
  return std::unique_ptr<Device>(new Device(std::make_unique<Impl>(options)));
}

Device::Device(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Device::~Device() = default;

const DeviceInfo& Device::info() const {
  return impl_->physical.info;
}
std::filesystem::path Device::cache_file(std::string_view stem, std::string_view extension) const {
  const std::filesystem::path folder = impl_->pipelines->cache_folder();
  if (folder.empty()) return {};
  const PhysicalDevice& physical = impl_->physical;
  return folder / fmt::format("{}-{:04x}-{:04x}-{}-{:08x}.{}", stem, physical.vendor_id, physical.device_id,
                              physical.info.device_uuid,
                              fnv1a(profile().name.data(), profile().name.size()) & 0xffffffffu, extension);
}
Buffer Device::allocate(std::uint64_t bytes, MemoryUse use, const std::string& what) {
  return impl_->allocate(bytes, use, what);
}
std::uint64_t Device::allocated() const {
  return impl_->allocated;
}
std::uint64_t Device::peak_allocated() const {
  return impl_->peak_allocated;
}
const Pipeline* Device::pipeline(const KernelKey& key) {
  return impl_->pipelines->get(key);
}
void Device::prepare_pipelines(std::span<const KernelKey> keys) {
  impl_->pipelines->prepare(keys);
}
std::array<std::uint32_t, 3> Device::workgroup_size(const Pipeline& pipeline) const {
  return pipeline.workgroup_size;
}
CompiledKernel Device::compile(const KernelKey& key) {
  return impl_->pipelines->compile(key);
}
bool Device::tells_statistics() const {
  return impl_->statistics;
}
void Device::note_fault(const KernelKey& key, std::uint64_t fault) {
  KernelNotes& notes = impl_->pipelines->notes();
  notes.note(key, fault);
  impl_->physical.info.profile.faults = notes.faults();
}
bool Device::wants_self_test() const {
  return impl_->self_test;
}
const KernelNotes& Device::notes() const {
  return impl_->pipelines->notes();
}
void Device::note_verdict(const KernelKey& key, Verdict verdict) {
  impl_->pipelines->notes().note_verdict(key, verdict);
}
void Device::save_pipeline_cache() {
  impl_->pipelines->save_cache();
}

CommandList Device::new_list(const ListOptions& options) {
  return CommandList(std::make_unique<CommandList::Impl>(*impl_, options));
}

std::uint64_t Device::submit(std::span<CommandList* const> lists) {
  return impl_->submissions->submit(lists);
}
void Device::wait() {
  impl_->submissions->wait();
}
void Device::wait(std::uint64_t ticket) {
  impl_->submissions->wait(ticket);
}
std::uint64_t Device::submissions() const {
  return impl_->submissions->submissions();
}
bool Device::is_over(std::uint64_t ticket) const {
  return impl_->submissions->is_over(ticket);
}

void Device::run(CommandList& list) {
  CommandList* const one = &list;
  submit({&one, 1});
  wait();
}

std::uint64_t Device::validation_messages() const {
  return impl_->instance.validation_messages();
}

}  // namespace fabula::vk
