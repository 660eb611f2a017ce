#pragma once
#define VK_NO_PROTOTYPES
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "vk/device_impl.hpp"
#include "vk/shader_table.hpp"

namespace fabula::test {

/// Makes a driver compute one shader wrong for as long as it lives: it is given other code for it. One at a time.
class FaultyDriver {
 public:
  FaultyDriver(vk::Device& device, const std::string& shader) : table_(device.impl().table) {
    const vk::ShaderBinary* const binary = vk::find_shader(shader);
    EXPECT_NE(binary, nullptr) << shader;
    right() = vk::device_words(*binary);
    wrong() = broken(right());
    EXPECT_NE(right(), wrong()) << shader << " has nothing that this test breaks";
    create() = std::exchange(table_.vkCreateShaderModule, create_module);
  }
  ~FaultyDriver() { table_.vkCreateShaderModule = create(); }
  FaultyDriver(const FaultyDriver&) = delete;
  FaultyDriver& operator=(const FaultyDriver&) = delete;

 private:
  /// With differences in the place of all sums, and mixtures in the place of fused products and sums.
  static std::vector<std::uint32_t> broken(std::vector<std::uint32_t> words) {
    constexpr std::uint32_t kExtInst = 12, kFAdd = 129, kFSub = 131, kFma = 50, kFMix = 46;
    for (std::size_t at = 5; at < words.size(); at += words[at] >> 16) {
      std::uint32_t& word = words[at];
      if ((word & 0xFFFF) == kFAdd) word = (word & 0xFFFF0000u) | kFSub;
      if ((word & 0xFFFF) == kExtInst && words[at + 4] == kFma) words[at + 4] = kFMix;
    }
    return words;
  }
  static VKAPI_ATTR VkResult VKAPI_CALL create_module(VkDevice device, const VkShaderModuleCreateInfo* info,
                                                      const VkAllocationCallbacks* allocator, VkShaderModule* module) {
    VkShaderModuleCreateInfo given = *info;
    if (info->codeSize == right().size() * 4 && std::memcmp(info->pCode, right().data(), info->codeSize) == 0)
      given.pCode = wrong().data();
    return create()(device, &given, allocator, module);
  }
  // A driver's functions have no place to keep anything.
  static std::vector<std::uint32_t>& right() {
    static std::vector<std::uint32_t> words;
    return words;
  }
  static std::vector<std::uint32_t>& wrong() {
    static std::vector<std::uint32_t> words;
    return words;
  }
  static PFN_vkCreateShaderModule& create() {
    static PFN_vkCreateShaderModule function = nullptr;
    return function;
  }

  VolkDeviceTable& table_;
};

}  // namespace fabula::test
