#include "vk/instance.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "base/environment.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "vk/loader_text.hpp"
#include "vk/portability.hpp"
#include "vk/result.hpp"

namespace fabula::vk {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";
// Hazards between submissions are looked for only with this setting, which the layer of 1.3.239 takes from the
// environment alone.
constexpr const char* kSubmitSync = "VALIDATION_CHECK_ENABLE_SYNCHRONIZATION_VALIDATION_QUEUE_SUBMIT";

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data, void* user) {
  auto* sink = static_cast<ValidationSink*>(user);
  sink->count.fetch_add(1);
  const std::string text = data->pMessage != nullptr ? data->pMessage : "(no text)";
  const std::lock_guard<std::mutex> lock(sink->mutex);
  if (sink->receive) {
    sink->receive(text);
  } else {
    fabula::info("validation: {}", text);
  }
  return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(ValidationSink* sink) {
  VkDebugUtilsMessengerCreateInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  info.messageSeverity =
      VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT;
  info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
  info.pfnUserCallback = on_message;
  info.pUserData = sink;
  return info;
}

std::vector<VkExtensionProperties> instance_extensions(const char* layer) {
  std::uint32_t count = 0;
  if (vkEnumerateInstanceExtensionProperties(layer, &count, nullptr) < 0) return {};
  std::vector<VkExtensionProperties> list(count);
  if (vkEnumerateInstanceExtensionProperties(layer, &count, list.data()) < 0) return {};
  list.resize(count);
  return list;
}

bool has_extension(const std::vector<VkExtensionProperties>& list, const char* name) {
  return std::any_of(list.begin(), list.end(), [&](const auto& e) { return std::strcmp(e.extensionName, name) == 0; });
}

std::vector<std::string> names_of(const std::vector<VkExtensionProperties>& list) {
  std::vector<std::string> names;
  for (const VkExtensionProperties& extension : list) names.emplace_back(extension.extensionName);
  return names;
}

bool has_layer(const char* name) {
  std::uint32_t count = 0;
  vkEnumerateInstanceLayerProperties(&count, nullptr);
  std::vector<VkLayerProperties> list(count);
  vkEnumerateInstanceLayerProperties(&count, list.data());
  return std::any_of(list.begin(), list.end(), [&](const auto& l) { return std::strcmp(l.layerName, name) == 0; });
}

void load_loader() {
  if (volkInitialize() != VK_SUCCESS) {
    fail(ErrorCode::kDevice, "{}", kLoaderMissing);
  }
  // A 1.0 loader has no vkEnumerateInstanceVersion: volk answers 1.0 then.
  const std::uint32_t version = volkGetInstanceVersion();
  if (version < VK_API_VERSION_1_1) {
    fail(ErrorCode::kDevice, "the Vulkan loader speaks version {}.{}, fabula needs 1.1 or later: {}",
         VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version), kLoaderUpdate);
  }
}

/// An instance of this process stays to its end.
std::atomic<bool> drivers_kept{false};

void enable_submit_sync() {
  const std::string before = environment("VK_LAYER_ENABLES");
  if (before.find(kSubmitSync) != std::string::npos) return;
  set_environment("VK_LAYER_ENABLES", before.empty() ? kSubmitSync : before + kListSeparator + kSubmitSync);
}

}  // namespace

Instance::Instance(bool validate, std::function<void(const std::string&)> receive)
    : sink_(std::make_unique<ValidationSink>()) {
  sink_->receive = std::move(receive);
  static std::mutex loading;  // volk's functions are the process's
  const std::lock_guard lock(loading);
  load_loader();
  if (validate && !has_layer(kValidationLayer)) {
    fail(ErrorCode::kDevice,
         "validation was asked for, but the layer {} is not installed: Debian and Ubuntu `apt install "
         "vulkan-validationlayers`",
         kValidationLayer);
  }
  std::vector<VkExtensionProperties> available = instance_extensions(nullptr);
  std::vector<const char*> layers, extensions;
  if (validate) {
    layers.push_back(kValidationLayer);
    const auto of_layer = instance_extensions(kValidationLayer);
    available.insert(available.end(), of_layer.begin(), of_layer.end());
    enable_submit_sync();
  }
  debug_utils_ = has_extension(available, VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
  if (debug_utils_) extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);

  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = application.pEngineName = "fabula";
  application.apiVersion = std::min<std::uint32_t>(volkGetInstanceVersion(), VK_API_VERSION_1_3);
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  const InstancePortability portability = instance_portability(names_of(available));
  extensions.insert(extensions.end(), portability.extensions.begin(), portability.extensions.end());
  if (portability.enumerate) info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
  VkDebugUtilsMessengerCreateInfoEXT messenger = messenger_info(sink_.get());
  const VkValidationFeatureEnableEXT enable = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
  VkValidationFeaturesEXT features{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT, &messenger, 1, &enable, 0, nullptr};
  if (validate && debug_utils_) {
    if (has_extension(available, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME)) {
      extensions.push_back(VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
      info.pNext = &features;
    } else {
      info.pNext = &messenger;
    }
  }
  info.enabledLayerCount = static_cast<std::uint32_t>(layers.size());
  info.ppEnabledLayerNames = layers.data();
  info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  const VkResult result = vkCreateInstance(&info, nullptr, &instance_);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
    fail(ErrorCode::kDevice,
         "the Vulkan loader found no working driver. Install one: Debian and Ubuntu `apt install mesa-vulkan-drivers` "
         "(a software driver is in it); if VK_ICD_FILENAMES or VK_DRIVER_FILES is set, check the file it names");
  }
  check(result, "creating a Vulkan instance");
  volkLoadInstanceOnly(instance_);
  keeps_drivers_ = !validate && !drivers_kept.exchange(true);
  if (validate && debug_utils_) {
    auto create = function<PFN_vkCreateDebugUtilsMessengerEXT>("vkCreateDebugUtilsMessengerEXT");
    if (create != nullptr) create(instance_, &messenger, nullptr, &messenger_);
  }
}

void Instance::abandon() {
  static auto& kept =
      *new std::vector<std::unique_ptr<ValidationSink>>;  // never destroyed: the messenger may still call
  kept.push_back(std::move(sink_));
  instance_ = VK_NULL_HANDLE;
  messenger_ = VK_NULL_HANDLE;
}

Instance::~Instance() {
  if (messenger_ != VK_NULL_HANDLE) {
    auto destroy = function<PFN_vkDestroyDebugUtilsMessengerEXT>("vkDestroyDebugUtilsMessengerEXT");
    if (destroy != nullptr) destroy(instance_, messenger_, nullptr);
  }
#if !defined(__SANITIZE_ADDRESS__)
  // Not under AddressSanitizer: the loader unloads the drivers with the last instance, and the leak checker could then
  // no longer tell what they keep from what fabula loses.
  if (instance_ != VK_NULL_HANDLE && !keeps_drivers_) {
    // Through the instance's own entry: the global one may belong to an instance made later.
    auto destroy = function<PFN_vkDestroyInstance>("vkDestroyInstance");
    if (destroy != nullptr) destroy(instance_, nullptr);
  }
#endif
}

std::vector<VkPhysicalDevice> Instance::physical_devices() const {
  std::uint32_t count = 0;
  check(vkEnumeratePhysicalDevices(instance_, &count, nullptr), "listing Vulkan devices");
  std::vector<VkPhysicalDevice> list(count);
  if (count != 0) check(vkEnumeratePhysicalDevices(instance_, &count, list.data()), "listing Vulkan devices");
  list.resize(count);
  return list;
}

}  // namespace fabula::vk
