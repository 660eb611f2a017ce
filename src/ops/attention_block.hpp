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
  const std::uint64_t rows = 2 * block.keys + (backward ? 2 : 1) * block.queries;
  return 16 * (rows * line + (backward ? 2 : 1) * weights) + (backward ? 8 : 4) * block.queries;
}

/// The largest blocks that the device's shared memory holds; local == 0 where none does.
inline AttentionBlock attention_block(std::int64_t head_size, bool backward, const vk::DeviceProfile& profile) {
  using attention_block_detail::best_lanes;
  struct Size {
    std::uint32_t queries, keys, local, score_lanes;
  };
  static constexpr std::array<Size, 5> kForward{
      {{64, 64, 128, 8}, {64, 32, 128, 8}, {32, 32, 64, 8}, {32, 16, 64, 4}, {16, 16, 32, 4}}};
  static constexpr std::array<Size, 5> kBackward{
      {{32, 64, 128, 16}, {32, 32, 128, 8}, {16, 32, 64, 8}, {16, 16, 64, 8}, {16, 16, 32, 4}}};
  // vec4s of sums that an invocation keeps: of the output, of 4 keys of d_k or d_v, of d_q.
  constexpr std::uint32_t kOutput = 16, kKeys = 6, kDQ = 8;
  const auto head4 = static_cast<std::uint32_t>(head_size / 4);
  const bool software = profile.device_class == vk::DeviceClass::kSoftware;  // only for checks: quick to compile
  AttentionBlock found;
  const auto consider = [&](const Size& size) {
    if (found.local > 0 || size.local > profile.limits.max_invocations || (software && size.queries > 16)) return;
    AttentionBlock block{size.local, size.queries, size.keys, size.score_lanes, 0, 0};
    if (backward) {
      block.output_lanes = best_lanes(head4, size.local / 2, size.keys / 4, 1, 1, 64, kKeys);
      if (block.output_lanes == 0) return;
      const std::uint32_t line = round_up(head4, block.output_lanes) | 1u;
      block.d_q_lanes = best_lanes(head4, size.local, size.queries, 1, 4, line, kDQ);
      if (block.d_q_lanes == 0) return;
    } else {
      block.output_lanes = best_lanes(head4, size.local, size.queries, 1, 4, 64, kOutput);
      if (block.output_lanes == 0) return;
    }
    if (attention_block_bytes(block, head_size, backward) <= profile.limits.max_shared_memory) found = block;
  };
  for (const Size& size : kForward)
    if (!backward) consider(size);
  for (const Size& size : kBackward)
    if (backward) consider(size);
  return found;
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
