#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "ops/attention_block.hpp"
#include "vk/shader_table.hpp"

// How the cooperative-matrix kernels of attention are had and cut: shaders/include/coopmat.glsl and
// attention_coop.glsl.
namespace fabula::ops {

enum class CoopForm { kNone, kKhr, kKhrBf16, kNv, kEmulated };

inline std::string_view to_string(CoopForm form) {
  constexpr std::string_view kNames[] = {"none", "khr", "khr_bf16", "nv", "emulated"};
  return kNames[static_cast<std::size_t>(form)];
}

/// For values of this type. Emulated fragments are slow: software drivers, which have no others, use them for checks.
inline CoopForm attention_coop_form(const vk::DeviceProfile& profile, graph::DType dtype) {
  if (!graph::is_half(dtype)) return CoopForm::kNone;
  if (profile.device_class == vk::DeviceClass::kSoftware) return CoopForm::kEmulated;
  const vk::Features& f = profile.features;
  if (vk::promised_subgroup_size(profile, 32, 128) != 32 || !f.subgroup_shuffle || !f.subgroup_ballot)
    return CoopForm::kNone;
  if (dtype == graph::DType::kBF16)
    return f.cooperative_matrix_bf16 && vk::find_shader("attention_coop_khr_bf16") ? CoopForm::kKhrBf16
                                                                                   : CoopForm::kNone;
  if (f.cooperative_matrix_khr && vk::find_shader("attention_coop_khr")) return CoopForm::kKhr;
  if (f.cooperative_matrix_nv && vk::find_shader("attention_coop_nv")) return CoopForm::kNv;
  return CoopForm::kNone;
}

/// Bytes of shared memory.
inline std::uint64_t attention_coop_bytes(const AttentionBlock& block, std::int64_t head_size, bool backward) {
  const std::uint64_t head = static_cast<std::uint64_t>(head_size), line = head / 8 + 1;
  const std::uint64_t q = block.queries, k = block.keys, subgroups = block.local / 32;
  if (backward) return 16 * ((2 * q + k) * line + q * (k / 8 + 1) + subgroups * 16 * 5) + 8 * q;
  return 16 * (std::max(2 * k, q) * line + subgroups * 16 * (k / 4 + 1)) + 8 * block.local;
}

/// The first of the blocks, in the order of their speed as measured on a Hopper GPU with heads of 32, 64 and 128, that
/// the device's shared memory holds; local == 0 where none does. The forward kernel prefers one of which two workgroups
/// share a core: an NVIDIA driver gives those of more than 24 KiB a core each.
inline AttentionBlock attention_coop_block(std::int64_t head_size, bool backward, const vk::DeviceProfile& profile) {
  struct Size {
    std::uint32_t queries, keys;
  };
  static constexpr std::array<Size, 6> kForward{{{64, 32}, {64, 16}, {32, 32}, {32, 16}, {16, 32}, {16, 16}}};
  static constexpr std::array<Size, 6> kBackward{{{32, 64}, {16, 64}, {32, 32}, {16, 32}, {32, 16}, {16, 16}}};
  constexpr std::uint64_t kShared = 24 * 1024;
  const bool software = profile.device_class == vk::DeviceClass::kSoftware;  // only for checks: quick to compile
  if (head_size % 16 || (software && head_size > 32)) return {};
  const std::uint64_t most = shared_memory(profile);
  for (const std::uint64_t shared : {backward ? most : std::min(kShared, most), most}) {
    for (const Size& size : backward ? kBackward : kForward) {
      const AttentionBlock block{
          .local = 2 * (backward ? size.keys : size.queries), .queries = size.queries, .keys = size.keys};
      if (block.local > profile.limits.max_invocations) continue;
      if (software && (size.queries > (backward ? 16 : 32) || size.keys > 32)) continue;
      if (attention_coop_bytes(block, head_size, backward) <= shared) return block;
    }
  }
  return {};
}

}  // namespace fabula::ops
