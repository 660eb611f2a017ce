#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vk/buffer.hpp"
#include "vk/kernel_key.hpp"

namespace fabula::vk {

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

}  // namespace fabula::vk
