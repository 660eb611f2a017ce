#pragma once
#include <cstdint>
#include <memory>

namespace fabula::vk {

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

}  // namespace fabula::vk
