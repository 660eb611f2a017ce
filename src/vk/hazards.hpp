#pragma once
#include <cstdint>
#include <vector>

namespace fabula::vk {

/// Decides where barriers go. Pure bookkeeping over (buffer, byte range): RAW, WAR and WAW hazards ask for a barrier;
/// reads beside reads and disjoint ranges do not.
class HazardTracker {
 public:
  struct Use {
    std::uint64_t buffer;      ///< identity of the buffer
    std::uint64_t begin, end;  ///< bytes, half open
    bool write;
  };
  /// Notes a command with these uses; true when a barrier must come before it (everything noted earlier is then
  /// forgotten).
  bool add(const std::vector<Use>& uses);
  void clear();

 private:
  std::vector<Use> pending_;
};

}  // namespace fabula::vk
