#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/runtime.hpp"

namespace fabula::graph {

/// Rows [begin, end) of a stored value.
struct StoredRows {
  std::string name;
  std::int64_t begin = 0, end = 0;
};

/// Stored fp32 numbers in memory that the host sees too, one row behind the other with their padding, and the copies
/// there and back: recorded once, submitted like a graph. The runtime must outlive it.
class HostMirror {
 public:
  HostMirror(Runtime& runtime, std::span<const StoredRows> rows);

  /// Submits the copy to the host, behind all that was submitted before; wait() returns when it is there.
  void fetch();
  void wait();
  /// What the host sees: from wait() to put_back().
  std::span<float> numbers();
  /// Submits the copy to the device. Does not wait.
  void put_back();

 private:
  Runtime& runtime_;
  vk::Buffer buffer_;
  std::size_t count_ = 0;
  std::optional<vk::CommandList> fetch_, put_back_;
  std::uint64_t ticket_ = 0;  ///< of the last fetch
};

}  // namespace fabula::graph
