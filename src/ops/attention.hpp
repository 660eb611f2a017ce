#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.hpp"
#include "ops/registers.hpp"

// What attention and attention_backward share: the meaning of their inputs and attributes, their kernels and how
// launches are cut.
namespace fabula::ops {

/// Inputs 0..2 are q, k, v: either one fused value [N, 3D] (k and v absent) or three of [N, D]; N = sequences *
/// positions.
struct AttentionShape {
  std::int64_t sequences = 0, positions = 0, heads = 0, head_size = 0;
  std::int64_t window = 0;  ///< position i attends to j in (i - window, i]; 1 <= window <= positions
  bool fused = false;
  graph::DType dtype = graph::DType::kF32;  ///< of the queries
  float scale = 1;                          ///< of the scores
  std::int64_t rows() const { return sequences * positions; }
  std::int64_t width() const { return heads * head_size; }  ///< D
  double pairs() const;                                     ///< (query, key) pairs of one head, over all sequences
};

/// Zeroes a 16-bit output of which the kernels do not write every word: rows end in padding, or words are shared by two
/// heads, whose workgroups then each add their half.
void clear_packed_heads(graph::LowerCall& call, std::size_t output);

/// Most positions that one position attends to: a kernel loops over them one by one at worst, with up to a third as
/// many rounds beside it, and stays below 60,000 iterations.
inline constexpr std::int64_t kMaxAttentionSpan = 1 << 15;

/// Most columns of a head: a kernel keeps a query's in registers.
inline constexpr std::int64_t kMaxHeadSize = 128;

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

/// "baseline" runs everywhere; "split" spreads a row over lanes of a subgroup (GPUs); "block" computes rectangles of
/// scores from shared memory (GPUs with enough of it); "coop" does so on cooperative matrices (fp16 values); "texel"
/// reads by texel fetch (software drivers).
std::vector<std::string> attention_variants(const graph::NodeView& node, const vk::DeviceProfile& profile,
                                            bool backward);
AttentionKernel attention_kernel(AttentionPass pass, std::string_view variant, const AttentionShape& shape,
                                 const vk::DeviceProfile& profile);

/// A binding of N rows; or, `whole`, one that every launch binds from its first row to its last.
struct AttentionBinding {
  graph::Value value;
  graph::Shape shape;
  bool whole = false;
};

/// One kernel and what it binds.
struct AttentionLaunch {
  AttentionKernel kernel;
  std::vector<AttentionBinding> bindings;
  std::int64_t invocations = 0;  ///< a sequence; 0: one workgroup for each rows_a_group rows of a head
};

/// Emits the kernels, one after the other, over all sequences. Where a binding is too large to be bound whole, or
/// `max_sequences` (0: any number) is exceeded, all of them are repeated over runs of whole sequences. Throws
/// kUnsupported when not even one sequence can be bound.
void launch_attention(graph::LowerCall& call, const std::vector<AttentionLaunch>& launches,
                      std::int64_t max_sequences = 0);

}  // namespace fabula::ops
