#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "base/ceil_div.hpp"
#include "ops/attention.hpp"

// How the register-tiled attention kernels are cut: pure arithmetic over head size and limits.
namespace fabula::ops {

struct AttentionBlock {
  std::uint32_t local = 0;              ///< invocations; 0: nothing fits
  std::uint32_t queries = 0, keys = 0;  ///< of a block
  std::uint32_t score_lanes = 0;        ///< invocations along the keys of a block of scores
  std::uint32_t output_lanes = 0;       ///< along the head in the output (backward: d_k and d_v)
  std::uint32_t d_q_lanes = 0;          ///< along the head in d_q
  std::uint32_t subgroup_size = 0;      ///< to be launched with
  bool turns = false;                   ///< k and v take turns in one block of shared memory
  std::uint32_t scores() const { return queries * keys / local; }  ///< of an invocation
};

namespace attention_block_detail {

/// Invocations along the head for an output of `rows` x head: the fewest reads from shared memory a multiplication. A
/// row operand is read `row_reads` vec4s for each row, the other one `head_reads` for each vec4 of the head. An
/// invocation keeps at most `most` of the rows' vec4s: more would spill registers. 0: no number of invocations will do.
inline std::uint32_t best_lanes(std::uint32_t head4, std::uint32_t local, std::uint32_t rows, double row_reads,
                                double head_reads, std::uint32_t widest, std::uint32_t most) {
  std::uint32_t best = 0, narrowest = 0;
  double least = 1e30;
  for (std::uint32_t lanes = 1; lanes <= 32; lanes *= 2) {
    if (local % lanes || rows * lanes % local || rows * lanes < local) continue;
    const std::uint32_t have_rows = rows * lanes / local, have_head = ceil_div(head4, lanes);
    if (have_head * lanes > widest || have_rows * have_head > most) continue;
    const double reads = (have_rows * row_reads + have_head * head_reads) / (have_rows * have_head);
    const double cost = reads * have_head * lanes / head4;
    const bool no_wider = best == 0 || have_head * lanes <= narrowest;
    if (cost < least || (cost == least && no_wider)) {
      least = cost;
      best = lanes;
      narrowest = have_head * lanes;
    }
  }
  return best;
}

}  // namespace attention_block_detail

/// Bytes of shared memory.
inline std::uint64_t attention_block_bytes(const AttentionBlock& block, std::int64_t head_size, bool backward) {
  const std::uint32_t head4 = static_cast<std::uint32_t>(head_size / 4);
  const std::uint64_t line = round_up(head4, block.output_lanes) | 1u;
  const std::uint64_t weights = std::uint64_t(block.queries) * (block.keys / 4 + 2);
  const std::uint64_t rows = (block.turns ? 1 : 2) * block.keys + (backward ? 2 : 1) * block.queries;
  return 16 * (rows * line + (backward ? 2 : 1) * weights) + (backward ? 8 : 4) * block.queries;
}

namespace attention_block_detail {

/// A block to be considered, and the most vec4s of sums that an invocation may keep: of the output (backward: d_k or
/// d_v, for 4 keys each) and of d_q.
struct BlockSize {
  std::uint32_t queries, keys, local, score_lanes, output, d_q;
  bool turns = false;
};

// As measured on a Hopper GPU.
inline constexpr std::array<BlockSize, 5> kForward{{{64, 64, 128, 8, 16, 0},
                                                    {64, 32, 128, 8, 16, 0},
                                                    {32, 32, 64, 8, 16, 0},
                                                    {32, 16, 64, 4, 16, 0},
                                                    {16, 16, 32, 4, 16, 0}}};
inline constexpr std::array<BlockSize, 5> kBackward{{{32, 64, 128, 16, 6, 8},
                                                     {32, 32, 128, 8, 6, 8},
                                                     {16, 32, 64, 8, 6, 8},
                                                     {16, 16, 64, 8, 6, 8},
                                                     {16, 16, 32, 4, 6, 8}}};
// For small register files: what AMD's compilers for Vega and RDNA keep within 128 registers and Intel's at 8 lanes
// does not spill, with heads of 16 to 128. Workgroups of 64 are whole subgroups everywhere.
inline constexpr std::array<BlockSize, 7> kSmallForward{{{64, 32, 128, 8, 4, 0},
                                                         {32, 32, 128, 8, 4, 0},
                                                         {32, 16, 64, 8, 4, 0},
                                                         {32, 16, 128, 4, 8, 0, true},
                                                         {16, 16, 64, 8, 4, 0},
                                                         {16, 16, 128, 4, 4, 0},
                                                         {16, 16, 64, 4, 4, 0}}};
inline constexpr std::array<BlockSize, 5> kSmallBackward{{{32, 32, 128, 8, 2, 2},
                                                          {16, 32, 128, 8, 2, 4},
                                                          {16, 16, 64, 8, 2, 4},
                                                          {8, 16, 64, 8, 2, 4},
                                                          {8, 16, 128, 8, 2, 4}}};

/// `size` cut for a head; local == 0 where the device cannot run it.
inline AttentionBlock cut(const BlockSize& size, std::int64_t head_size, bool backward,
                          const vk::DeviceProfile& profile) {
  const auto head4 = static_cast<std::uint32_t>(head_size / 4);
  const bool software = profile.device_class == vk::DeviceClass::kSoftware;  // only for checks: quick to compile
  if (size.local > profile.limits.max_invocations || (software && size.queries > 16)) return {};
  AttentionBlock block{.local = size.local,
                       .queries = size.queries,
                       .keys = size.keys,
                       .score_lanes = size.score_lanes,
                       .subgroup_size = shuffling_size(profile, size.score_lanes, size.local),
                       .turns = size.turns};
  if (backward) {
    block.output_lanes = best_lanes(head4, size.local / 2, size.keys / 4, 1, 1, 64, size.output);
    if (block.output_lanes == 0) return {};
    const std::uint32_t line = round_up(head4, block.output_lanes) | 1u;
    block.d_q_lanes = best_lanes(head4, size.local, size.queries, 1, 4, line, size.d_q);
    if (block.d_q_lanes == 0) return {};
  } else {
    block.output_lanes = best_lanes(head4, size.local, size.queries, 1, 4, 64, size.output);
    if (block.output_lanes == 0) return {};
  }
  const bool fits = attention_block_bytes(block, head_size, backward) <= shared_memory(profile);
  return fits && block.subgroup_size > 0 ? block : AttentionBlock{};
}

}  // namespace attention_block_detail

/// The first of the blocks that the device's shared memory and subgroups allow; local == 0 where none is.
inline AttentionBlock attention_block(std::int64_t head_size, bool backward, const vk::DeviceProfile& profile) {
  using namespace attention_block_detail;
  const auto first_of = [&](const auto& sizes) {
    for (const BlockSize& size : sizes) {
      const AttentionBlock block = cut(size, head_size, backward, profile);
      if (block.local > 0) return block;
    }
    return AttentionBlock{};
  };
  if (has_many_registers(profile)) return backward ? first_of(kBackward) : first_of(kForward);
  return backward ? first_of(kSmallBackward) : first_of(kSmallForward);
}

/// Where the blocks of keys leave their parts of d_q: shaders/include/attention_parts.glsl.
struct AttentionParts {
  std::int64_t rows = 0;       ///< a sequence: block k of keys leaves a part of every query from its first key on
  std::int64_t sequences = 0;  ///< that are computed at a time; 0: not even one fits
};

inline AttentionParts attention_parts(const AttentionShape& shape, const AttentionBlock& block,
                                      const vk::DeviceProfile& profile) {
  constexpr std::uint64_t kMostBytes = 128ull << 20;  // more would be as fast, but is memory that a larger batch lacks
  const std::int64_t keys = block.keys, blocks = ceil_div(shape.positions, keys);
  AttentionParts parts;
  parts.rows = blocks * round_up(shape.positions, 16) - keys * (blocks * (blocks - 1) / 2);
  const std::uint64_t bytes = std::min({kMostBytes, profile.limits.max_storage_range, profile.limits.max_allocation});
  const auto most = static_cast<std::int64_t>(bytes) / graph::Shape{parts.rows, shape.width()}.bytes();
  const std::int64_t runs = most > 0 ? ceil_div(shape.sequences, most) : 0;
  parts.sequences = runs > 0 ? ceil_div(shape.sequences, runs) : 0;
  return parts;
}

}  // namespace fabula::ops
