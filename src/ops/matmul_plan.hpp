#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/registers.hpp"
#include "ops/texel.hpp"
#include "vk/shader_table.hpp"

// How a matmul is cut: which kernel, which tile, how many pieces of K. Pure arithmetic over shapes and limits.
namespace fabula::ops {

enum class MatmulLayout { kNN, kNT, kTN };  ///< a [M,K] or, in TN, [K,M]; b [K,N] or, in NT, [N,K]

struct MatmulSize {
  MatmulLayout layout;
  std::int64_t m, n, k;
};

/// Sizes of a matmul node (or of one whose inputs are being inferred: anything with attrs() and in()).
template <class Call>
MatmulSize matmul_size(const Call& call) {
  const bool transpose_a = call.attrs().integer_or("transpose_a", 0) != 0;
  const bool transpose_b = call.attrs().integer_or("transpose_b", 0) != 0;
  const graph::Shape a = call.in(0), b = call.in(1);
  if (transpose_a) return {MatmulLayout::kTN, a.cols, b.cols, a.rows};
  if (transpose_b) return {MatmulLayout::kNT, a.rows, b.rows, a.cols};
  return {MatmulLayout::kNN, a.rows, b.cols, a.cols};
}

constexpr std::string_view kMatmulShuffle = "shuffle", kMatmulTile256 = "tile256", kMatmulTile128 = "tile128",
                           kMatmulTile64 = "tile64", kMatmulLean64 = "lean64";
// Cooperative matrices: through the KHR extension, of fp16 or bf16 operands, a subgroup computing 64 x 32 sums or,
// wide, 64 x 64; through the NV extension, of fp16; or emulated to check the kernel where there is neither.
constexpr std::string_view kMatmulCoopKhr = "coop_khr", kMatmulCoopKhrWide = "coop_khr_wide",
                           kMatmulCoopKhrBf16 = "coop_khr_bf16", kMatmulCoopKhrWideBf16 = "coop_khr_wide_bf16",
                           kMatmulCoopNv = "coop_nv", kMatmulCoopEmulated = "coop_emulated";
constexpr std::uint32_t kMatmulCoopLanes = 32;     ///< of the subgroup that a fragment is spread over
constexpr std::int64_t kMatmulMaxDepth = 1 << 18;  ///< K of one launch: bounds a kernel's loop iterations to 32,768

inline bool is_matmul_coop(std::string_view variant) {
  return variant.starts_with("coop_");
}

struct MatmulTile {
  std::int64_t m, n;
};

/// Of the subgroup that is a workgroup of the shuffling kernel; 0: the device lacks what that needs.
inline std::uint32_t matmul_shuffle_lanes(const vk::DeviceProfile& profile) {
  constexpr std::uint32_t kLeast = 4, kMost = 32;
  return profile.features.texel_float4 ? shuffling_size(profile, kLeast, kMost) : 0;
}

inline MatmulTile matmul_tile(const vk::DeviceProfile& profile, std::string_view variant) {
  if (variant == kMatmulShuffle) return {32, 4 * std::int64_t(matmul_shuffle_lanes(profile))};
  if (variant == kMatmulCoopEmulated) return {32, 64};
  if (variant == kMatmulTile256) return {128, 256};
  if (variant == kMatmulTile128 || is_matmul_coop(variant)) return {128, 128};
  return {64, 64};
}

inline bool matmul_shuffle_fits(const graph::NodeView& node, const vk::DeviceProfile& profile) {
  for (const graph::Shape& shape : {node.in(0), node.in(1), node.out()})
    if (shape.dtype != graph::DType::kF32 || texel_rows(shape, profile) <= 0) return false;
  return matmul_shuffle_lanes(profile) > 0;
}

struct MatmulSplit {
  std::int64_t count = 1;  ///< pieces of K
  std::int64_t depth = 0;  ///< K of a piece, a multiple of 64
};

/// Tiles of y.
inline std::int64_t matmul_tiles(const MatmulSize& size, const vk::DeviceProfile& profile, std::string_view variant) {
  const MatmulTile tile = matmul_tile(profile, variant);
  return ((size.m + tile.m - 1) / tile.m) * ((size.n + tile.n - 1) / tile.n);
}

/// Pieces of K such that a device with many cores is kept busy, each long enough to be worth its sum. Of the whole
/// node, whatever blocks it is launched in: a block of K takes as many pieces of this depth as it needs. All partial
/// sums together can be bound at once.
inline MatmulSplit matmul_split(const MatmulSize& size, const vk::DeviceProfile& profile, std::string_view variant) {
  const std::int64_t tiles = matmul_tiles(size, profile, variant);
  std::int64_t wanted = profile.device_class == vk::DeviceClass::kDiscrete ? 256 : 32;  // workgroups
  if (variant == kMatmulShuffle) wanted = 4;
  std::int64_t shortest = 256;                                // steps of a piece
  if (is_matmul_coop(variant)) wanted = 264, shortest = 512;  // two a core of the largest; merging shows
  if (variant == kMatmulTile256) wanted = 132;  // one a core of the largest: two would not fit its registers
  const std::int64_t bindable = std::int64_t(profile.limits.max_storage_range) / graph::Shape{size.m, size.n}.bytes();
  const std::int64_t count = std::min({wanted / tiles, size.k / shortest, std::int64_t(64), bindable});
  if (count < 2) return {};
  const std::int64_t depth = ((size.k + count - 1) / count + 63) / 64 * 64;
  return {(size.k + depth - 1) / depth, depth};
}

/// Workgroups of the whole node, pieces of K included.
inline std::int64_t matmul_groups(const MatmulSize& size, const vk::DeviceProfile& profile, std::string_view variant) {
  return matmul_tiles(size, profile, variant) * matmul_split(size, profile, variant).count;
}

/// Can this device run the 128 x 128 tile at all?
inline bool matmul_tile128_fits(const vk::DeviceProfile& profile) {
  return profile.limits.max_invocations >= 256 && profile.limits.max_workgroup_size[0] >= 256 &&
         profile.limits.max_shared_memory >= 17 * 1024;
}

/// Is it the best on a discrete GPU: does it give a large one's cores more than one workgroup each, and is not mostly
/// edge? With one a core the small tile's four are up to 30 % faster.
inline bool matmul_tile128_pays(const MatmulSize& size, const vk::DeviceProfile& profile) {
  return is_large_gpu(profile) && size.m > 64 && size.n > 64 && matmul_groups(size, profile, kMatmulTile128) >= 192;
}

/// Cooperative matrix kernels for a product of 16-bit operands, best first. In this build a form may be missing.
inline std::vector<std::string> matmul_coop_variants(const MatmulSize& size, const vk::DeviceProfile& profile,
                                                     graph::DType operands) {
  const vk::Features& features = profile.features;
  const vk::Limits& limits = profile.limits;
  constexpr std::uint32_t kLanes = kMatmulCoopLanes;
  std::vector<std::string> names;
  const bool fits = vk::promised_subgroup_size(profile, kLanes, 256) == kLanes && limits.max_shared_memory >= 20 * 1024;
  const auto offer = [&](bool feature, std::uint32_t invocations, std::string_view variant) {
    const std::string name(variant);
    if (feature && fits && limits.max_invocations >= invocations && limits.max_workgroup_size[0] >= invocations &&
        vk::find_shader("matmul_" + name + "_nn") != nullptr)
      names.push_back(name);
  };
  const bool fp16 = operands == graph::DType::kF16, bf16 = operands == graph::DType::kBF16;
  // 16384 x 768 x 256 runs at 173 TFLOP/s narrow, 159 wide; 4096^3 at 290 and 301 (H200).
  constexpr std::int64_t kLong = 1024;
  const MatmulSplit split = matmul_split(size, profile, kMatmulCoopKhr);
  // Where subgroups of 32 are one size of several, the wide one's fragments spill (RDNA3).
  const bool wide_first =
      features.min_subgroup_size == features.max_subgroup_size && (split.count > 1 ? split.depth : size.k) >= kLong;
  for (const bool wide : {wide_first, !wide_first}) {
    offer(fp16 && features.cooperative_matrix_khr, wide ? 128 : 256, wide ? kMatmulCoopKhrWide : kMatmulCoopKhr);
    offer(bf16 && features.cooperative_matrix_bf16, wide ? 128 : 256,
          wide ? kMatmulCoopKhrWideBf16 : kMatmulCoopKhrBf16);
  }
  offer(fp16 && features.cooperative_matrix_nv, 256, kMatmulCoopNv);
  return names;
}

/// The same for the 128 x 256 tile, which there is for NN and TN. What one smaller tile covers has no use for it.
inline bool matmul_tile256_fits(const MatmulSize& size, const vk::DeviceProfile& profile) {
  return matmul_tile128_fits(profile) && profile.limits.max_shared_memory >= 25 * 1024 &&
         size.layout != MatmulLayout::kNT && size.m > 64 && size.n > 128;
}
/// A core has one workgroup of it at a time, whose start and end nothing covers: it takes a long K or many tiles.
inline bool matmul_tile256_pays(const MatmulSize& size, const vk::DeviceProfile& profile) {
  return matmul_tile256_fits(size, profile) && is_large_gpu(profile) && (size.n + 127) / 128 % 2 == 0 &&
         matmul_groups(size, profile, kMatmulTile256) >= 112 &&
         (size.k >= 512 || matmul_tiles(size, profile, kMatmulTile256) >= 264);
}

/// Does the product fill a good part of a cooperative matrix kernel's tile?
inline bool matmul_coop_pays(const MatmulSize& size) {
  return size.m > 32 && size.n > 32;
}

/// Kernels that can run a product of this size, best first: of 16-bit operands, cooperative matrices where they fill a
/// tile; shuffles on a software driver; on a large GPU the largest tile that pays, else the small one; where registers
/// are scarce, or nothing is known of them, the one of fewest sums an invocation. Tiles that take hundreds of registers
/// are offered on discrete and software devices alone: others spill them, and their compilers take a minute for one.
/// The emulated cooperative matrices are offered last, to software drivers alone: what is checked there is the same
/// kernel.
inline std::vector<std::string> matmul_variants(const MatmulSize& size, bool shuffle_fits,
                                                const vk::DeviceProfile& profile,
                                                graph::DType operands = graph::DType::kF32) {
  const bool software = profile.device_class == vk::DeviceClass::kSoftware;
  const bool large = software || profile.device_class == vk::DeviceClass::kDiscrete;
  std::vector<std::string> names{std::string(kMatmulTile64)};
  if (matmul_tile128_fits(profile) && (large || size.layout == MatmulLayout::kNN))
    names.insert(matmul_tile128_pays(size, profile) ? names.begin() : names.end(), std::string(kMatmulTile128));
  if (matmul_tile256_fits(size, profile) && large)
    names.insert(matmul_tile256_pays(size, profile) ? names.begin() : names.end(), std::string(kMatmulTile256));
  if (!has_many_registers(profile)) names.insert(names.begin(), std::string(kMatmulLean64));
  if (software && shuffle_fits) names.insert(names.begin(), std::string(kMatmulShuffle));
  if (!graph::is_half(operands)) return names;
  const std::vector<std::string> coop = matmul_coop_variants(size, profile, operands);
  names.insert(matmul_coop_pays(size) ? names.begin() : names.end(), coop.begin(), coop.end());
  if (software) names.emplace_back(kMatmulCoopEmulated);
  return names;
}

}  // namespace fabula::ops
