#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vk/buffer.hpp"
#include "vk/command_list.hpp"
#include "vk/device_info.hpp"
#include "vk/kernel_notes.hpp"
#include "vk/pipeline_statistics.hpp"

// No Vulkan type shows in the headers of this layer that others include: they are linked without knowing Vulkan.
namespace fabula::vk {

/// A kernel as a driver compiled it.
struct CompiledKernel {
  double seconds = 0;
  std::optional<PipelineStatistics> statistics;  ///< absent where they were not asked for, or the driver does not tell
};

/// A logical device with one compute queue. All calls come from one thread.
class Device {
 public:
  /// What the loader offers, best first. Throws kDevice when no loader is installed (saying which package has it).
  static std::vector<DeviceInfo> enumerate(const DeviceOptions& options = {});
  /// Throws kDevice when none fits (listing what is there), kInvalidArgument for an unknown name.
  static std::unique_ptr<Device> open(const DeviceOptions& options);
  ~Device();

  const DeviceInfo& info() const;
  const DeviceProfile& profile() const { return info().profile; }
  /// A file beside the pipeline cache for this device and these limits: its name begins with `stem`. Empty: no cache on
  /// disk, or none that may be read.
  std::filesystem::path cache_file(std::string_view stem, std::string_view extension) const;

  /// Throws kOutOfMemory naming the size, the heap's size and budget.
  Buffer allocate(std::uint64_t bytes, MemoryUse use, const std::string& what);
  /// Bytes that this device's allocate() calls hold now, and the most they held.
  std::uint64_t allocated() const;
  std::uint64_t peak_allocated() const;
  /// Bytes of device-local memory in use as the driver counts them (VK_EXT_memory_budget), its own needs included;
  /// absent where it does not say.
  std::optional<std::uint64_t> memory_in_use() const;

  /// Creates (or finds) a pipeline. Throws kInternal for an unknown shader or a wrong number of constants.
  const Pipeline* pipeline(const KernelKey& key);
  /// Creates those of the pipelines that are missing, on all of the machine's threads: a driver takes up to a second
  /// for some. Throws as pipeline().
  void prepare_pipelines(std::span<const KernelKey> keys);
  /// Invocations of one workgroup in x, y, z, as specialised.
  std::array<std::uint32_t, 3> workgroup_size(const Pipeline& pipeline) const;
  /// Compiles a kernel from its beginning, no cache asked, and throws the pipeline away; with what the driver says of
  /// it, where it tells and DeviceOptions::statistics asks. Throws as pipeline().
  CompiledKernel compile(const KernelKey& key);
  bool tells_statistics() const;
  /// Keeps in mind, beside the pipeline cache, what this driver makes of a kernel: see KernelFaults, and faults of the
  /// profile, of which copies that were made before do not learn.
  void note_fault(const KernelKey& key, std::uint64_t fault);
  bool wants_self_test() const;  ///< DeviceOptions::self_test
  /// What is known of this driver's kernels, from now and earlier.
  const KernelNotes& notes() const;
  void note_verdict(const KernelKey& key, Verdict verdict);
  void save_pipeline_cache();

  struct ListOptions {
    std::string label;
    bool timed = false;  ///< a timestamp around every command
    bool brief = false;  ///< takes next to no time: nothing is to be learnt of it, and no submission cut for it
  };
  CommandList new_list(const ListOptions& options);

  /// Submits the lists in order and returns at once; cut into submissions that each stay within the time budget
  /// (measured, adapted), so long lists may wait inside. wait() returns when all is done. Both throw kDeviceLost /
  /// kOutOfMemory. The ticket is for wait(): one run can be waited for while later ones go on.
  std::uint64_t submit(std::span<CommandList* const> lists);
  void wait();
  void wait(std::uint64_t ticket);  ///< 0: nothing to wait for
  bool is_over(std::uint64_t ticket) const;
  std::uint64_t submissions() const;  ///< made so far
  void run(CommandList& list);        ///< submit and wait

  /// Blocking copies through staging of bounded size; offset and size in bytes, multiples of 4.
  void upload(const Buffer& to, std::uint64_t offset, std::span<const std::byte> data);
  void download(const Buffer& from, std::uint64_t offset, std::span<std::byte> data);

  std::uint64_t validation_messages() const;  ///< how many the layer reported so far

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  explicit Device(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fabula::vk
