#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.hpp"

// What attention and attention_backward share: the meaning of their inputs and attributes, their kernels and how
// launches are cut.
namespace fabula::ops {

/// Inputs 0..2 are q, k, v: either one fused value [N, 3D] (k and v absent) or three of [N, D]; N = sequences *
/// positions.
struct AttentionShape {
  std::int64_t sequences = 0, positions = 0, heads = 0, head_size = 0;
  std::int64_t window = 0;  ///< position i attends to j in (i - window, i]; 1 <= window <= positions
  bool fused = false;
  float scale = 1;  ///< of the scores
  std::int64_t rows() const { return sequences * positions; }
  std::int64_t width() const { return heads * head_size; }  ///< D
  double pairs() const;                                     ///< (query, key) pairs of one head, over all sequences
};

/// Checks inputs 0..2 and the attributes. Throws kInvalidArgument naming what does not fit.
AttentionShape infer_attention(const graph::InferCall& call);
/// The same of a node that was inferred.
AttentionShape attention_shape(const graph::NodeView& node);

/// Push constants of every attention kernel: shaders/include/attention.glsl.
struct AttentionPush {
  std::uint32_t positions, sequences, heads, window;
  std::uint32_t first_row;   ///< of the bound rows: where the first sequence begins
  std::uint32_t row_blocks;  ///< workgroups a sequence and head
  std::uint32_t q_ld, q_column, k_ld, k_column, v_ld, v_column;
  std::uint32_t out_ld, log_sum_exp_ld, stats_ld;
  float scale;
};

/// A kernel made for one head size: shader, specialization and how many rows of a sequence a workgroup takes.
struct AttentionKernel {
  std::string shader;
  std::vector<std::uint32_t> constants;
  std::uint32_t subgroup_size = 0;
  std::int64_t rows_a_group = 0;
};

enum class AttentionPass { kForward, kBackwardQuery, kBackwardKey };

/// "baseline" runs everywhere; "split" spreads a row over lanes of a subgroup (GPUs); "texel" reads by texel fetch
/// (software drivers).
std::vector<std::string> attention_variants(const graph::NodeView& node, const vk::DeviceProfile& profile);
AttentionKernel attention_kernel(AttentionPass pass, std::string_view variant, const AttentionShape& shape,
                                 const vk::DeviceProfile& profile);

/// A binding of N rows.
struct AttentionBinding {
  graph::Value value;
  graph::Shape shape;
};

/// Emits `kernel` over all sequences. Where a binding is too large to be bound whole, the launch is cut into runs of
/// whole sequences. Throws kUnsupported when not even one sequence can be bound.
void launch_attention(graph::LowerCall& call, AttentionPass pass, const std::vector<AttentionBinding>& bindings);

}  // namespace fabula::ops
