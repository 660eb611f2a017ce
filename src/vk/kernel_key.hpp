#pragma once
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fabula::vk {

/// A pipeline's identity: the same key gives the same pipeline object.
struct KernelKey {
  std::string shader;                     ///< variant name in the shader table
  std::vector<std::uint32_t> constants;   ///< specialization constants, ids 0..n-1
  std::uint32_t subgroup_size = 0;        ///< of its full subgroups; 0: whatever the driver picks
  std::vector<std::uint32_t> types = {};  ///< by binding: 0 for 32-bit elements, else a 16-bit type's code
  auto operator<=>(const KernelKey&) const = default;
};

/// "attention_block(128, 64, 64, 8) types 1 1 0, subgroups of 32": the same for equal keys alone.
std::string to_string(const KernelKey& key);

/// What is known of kernels on a driver, by their text: registers that it spills, kWrong or kCrashes. A kernel that was
/// compiled and has no fault is there with 0.
using KernelFaults = std::map<std::string, std::uint64_t, std::less<>>;
inline constexpr std::uint64_t kCrashes = UINT64_MAX;    ///< a start ended while the driver compiled it
inline constexpr std::uint64_t kWrong = UINT64_MAX - 1;  ///< it computed something else than its reference

/// Not to be used, where anything else will do.
constexpr bool is_distrusted(std::uint64_t fault) {
  return fault >= kWrong;
}
/// Of the kernels that are distrusted, whatever is known of others: for whoever compares what two devices compute with.
std::uint64_t distrusted_digest(const KernelFaults& faults);

}  // namespace fabula::vk
