#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vk/limits.hpp"

// No Vulkan type shows here: the layers above link this header without knowing Vulkan.
namespace fabula::vk {

struct DeviceInfo {
  std::uint32_t index = 0;   ///< in the order of enumerate(): discrete, integrated, virtual, software
  std::string name, driver;  ///< as the driver reports; driver name with its version text
  std::string api_version, device_uuid, driver_uuid;
  std::uint64_t device_memory = 0;  ///< bytes of the largest device-local heap
  DeviceProfile profile;
  /// Bytes that a job may plan with: that heap, or the limits' cap on it.
  std::uint64_t usable_memory() const { return profile.limits.heap_cap > 0 ? profile.limits.heap_cap : device_memory; }
  bool usable = true;  ///< has a compute queue and Vulkan 1.1
  std::string why_not;
};

struct DeviceOptions {
  std::string device;             ///< index or part of the name; empty: the first of enumerate()
  std::string limits = "native";  ///< see apply_limits
  std::uint64_t memory = 0;       ///< bytes of device memory that may be used, as Limits::heap_cap; 0: all
  bool validate = false;          ///< validation layer, synchronization validation included
  std::string cache_dir;          ///< pipeline cache folder; empty: the user's cache folder; "none": no cache on disk
  std::function<void(const std::string&)>
      on_validation;  ///< receives validation messages; default: counts and logs them
};

enum class MemoryUse {
  kDevice,    ///< read and written by kernels
  kUpload,    ///< host writes, device copies from it
  kReadback,  ///< device copies into it, host reads (cached)
};

class Device;

/// A buffer with its own allocation. Movable, freed when destroyed (its user keeps it alive until the device is done
/// with it).
class Buffer {
 public:
  Buffer();  // defined where Impl is complete
  Buffer(Buffer&&) noexcept;
  Buffer& operator=(Buffer&&) noexcept;
  ~Buffer();
  std::uint64_t size() const { return size_; }
  void* mapped() const { return mapped_; }  ///< null for kDevice memory that the host cannot see
  explicit operator bool() const { return impl_ != nullptr; }
  struct Impl;
  Impl* impl() const { return impl_.get(); }

 private:
  friend class Device;
  std::unique_ptr<Impl> impl_;
  std::uint64_t size_ = 0;
  void* mapped_ = nullptr;
};

enum class Access : std::uint8_t { kRead, kWrite, kReadWrite };
enum class BindingKind : std::uint8_t { kStorage, kTexel };  ///< storage buffer | RGBA32F uniform texel buffer

/// What a compiled shader says of itself (from its SPIR-V).
struct ShaderInterface {
  struct Slot {
    BindingKind kind;
    Access access;  ///< from readonly / writeonly; a texel buffer is read
  };
  std::vector<Slot> slots;  ///< by binding number, 0..n-1 without gaps, all in set 0
  std::uint32_t push_constant_bytes = 0;
  std::uint32_t specialization_count = 0;  ///< highest constant_id + 1, element types aside
};

/// Parses a SPIR-V module's interface. Throws kInternal for a shader that breaks fabula's rules (gaps, other sets, over
/// the limits).
ShaderInterface reflect(std::span<const std::uint32_t> spirv);

/// The constant_id that says how the elements of binding 0 are stored; binding b's is kElementTypeId + b
/// (shaders/include/values.glsl).
inline constexpr std::uint32_t kElementTypeId = 16;

/// A pipeline's identity: the same key gives the same pipeline object.
struct KernelKey {
  std::string shader;                     ///< variant name in the shader table
  std::vector<std::uint32_t> constants;   ///< specialization constants, ids 0..n-1
  std::uint32_t subgroup_size = 0;        ///< required size with full subgroups; 0: whatever the driver picks
  std::vector<std::uint32_t> types = {};  ///< by binding: 0 for 32-bit elements, else a 16-bit type's code
  auto operator<=>(const KernelKey&) const = default;
};

class Pipeline;  ///< owned by the device's pipeline store

struct BufferRange {
  const Buffer* buffer = nullptr;
  std::uint64_t offset = 0, size = 0;  ///< bytes; offset a multiple of Limits::storage_alignment
};

/// One kernel launch, complete: nothing about it is decided later.
struct DispatchCall {
  const Pipeline* pipeline = nullptr;
  std::vector<BufferRange> bindings;  ///< by binding number
  std::vector<std::byte> push;        ///< exactly push_constant_bytes
  std::array<std::uint32_t, 3> groups{1, 1, 1};
  std::string label;  ///< for profiles and error messages
};

/// Commands recorded once and replayed; barriers are inserted from the ranges that each command declares. Recorded as a
/// row of segments of bounded work, so that a submission can be cut between any two of them.
class CommandList {
 public:
  CommandList(CommandList&&) noexcept;
  CommandList& operator=(CommandList&&) noexcept;
  ~CommandList();

  void dispatch(const DispatchCall& call);
  void fill(const BufferRange& range, std::uint32_t word);    ///< size a multiple of 4
  void copy(const BufferRange& from, const BufferRange& to);  ///< equal sizes
  void end();                                                 ///< no more commands; the list can be run

  /// Seconds each command took in the last timed run, with its label (device timestamps); empty where the device has
  /// none.
  struct Timing {
    std::string label;
    double seconds;
  };
  std::vector<Timing> timings() const;
  /// When the last timed run's first command could begin and its last was over, in seconds of the device's clock.
  struct Span {
    double begin, end;
  };
  std::optional<Span> span() const;
  std::size_t command_count() const;
  std::size_t barrier_count() const;  ///< between its commands

  struct Impl;
  Impl* impl() const { return impl_.get(); }

 private:
  friend class Device;
  explicit CommandList(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
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
  void save_pipeline_cache();

  struct ListOptions {
    std::string label;
    bool timed = false;  ///< a timestamp around every command
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
