#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>

#include "vk/device.hpp"
#include "vk/handle.hpp"
#include "vk/kernel_notes.hpp"
#include "vk/pipeline_cache.hpp"
#include "vk/spirv.hpp"

namespace fabula::vk {

class Pipeline {
 public:
  KernelKey key;
  const ShaderInfo* shader = nullptr;
  std::array<std::uint32_t, 3> workgroup_size{1, 1, 1};
  SetLayoutHandle set_layout;
  PipelineLayoutHandle layout;
  PipelineHandle pipeline;

  const ShaderInterface& interface() const { return shader->interface(); }
};

/// What the driver says of a pipeline that was made to be asked.
PipelineStatistics read_statistics(DeviceRef device, VkPipeline pipeline);

/// Every pipeline of a device, found by key. Keeps reflected shaders and the driver's pipeline cache.
class PipelineStore {
 public:
  PipelineStore(Device::Impl& device, const std::string& cache_dir);
  ~PipelineStore();

  const Pipeline* get(const KernelKey& key);
  /// Creates those of the keys that are missing, side by side.
  void prepare(std::span<const KernelKey> keys);
  const ShaderInfo& shader(const std::string& name);
  CompiledKernel compile(const KernelKey& key);
  KernelNotes& notes() { return notes_; }
  void save_cache();
  std::filesystem::path cache_folder() const { return cache_.path().parent_path(); }

 private:
  struct Making {
    VkPipelineCache cache = VK_NULL_HANDLE;  ///< null: the driver begins anew
    bool capture = false;                    ///< so that statistics can be read
  };
  /// With everything but its name. The shader is there; any thread may call this.
  std::unique_ptr<Pipeline> create(const KernelKey& key, const ShaderInfo& shader, const Making& making) const;
  void check_limits(const KernelKey& key, const ShaderInfo& shader, const Pipeline& pipeline) const;

  Device::Impl& device_;
  PipelineCache cache_;
  KernelNotes notes_;
  std::map<std::string, ShaderInfo> shaders_;
  std::map<KernelKey, std::unique_ptr<Pipeline>> pipelines_;
};

}  // namespace fabula::vk
