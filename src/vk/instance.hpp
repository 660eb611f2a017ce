#pragma once
#define VK_NO_PROTOTYPES
#include <volk.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace fabula::vk {

/// Where the validation layer reports to.
struct ValidationSink {
  std::atomic<std::uint64_t> count{0};
  std::mutex mutex;  ///< held while `receive` is called: messages come from every thread that calls Vulkan
  std::function<void(const std::string&)> receive;  ///< empty: they are warnings of the log
};

/// A Vulkan instance, with the validation layer when asked for.
class Instance {
 public:
  /// Throws kDevice when no loader or no validation layer is installed, naming the package that has it.
  Instance(bool validate, std::function<void(const std::string&)> receive);
  ~Instance();
  /// Leaves it to the end of the process, with what its messages go to: a device of it may still be at work.
  void abandon();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  VkInstance get() const { return instance_; }
  bool debug_utils() const { return debug_utils_; }
  std::uint64_t validation_messages() const { return sink_->count.load(); }
  std::vector<VkPhysicalDevice> physical_devices() const;
  template <class F>
  F function(const char* name) const {
    return reinterpret_cast<F>(vkGetInstanceProcAddr(instance_, name));
  }

 private:
  std::unique_ptr<ValidationSink> sink_;  // a fixed address: the messenger keeps it
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  bool debug_utils_ = false;
  /// The process's first one is never destroyed, so that the loader never unloads the drivers: NVIDIA's (580.159) can be
  /// loaded some 60 times by a process, and is not found from then on. Instances with layers are, since layers look for
  /// what was lost then.
  bool keeps_drivers_ = false;
};

}  // namespace fabula::vk
