#include "ops/attention.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

enum Input : std::size_t { kQ, kK, kV, kOut, kLogSumExp, kDOut };

void infer(InferCall& call) {
  const AttentionShape shape = infer_attention(call);
  const Shape out{shape.rows(), shape.width()};
  call.require(call.in(kOut) == out && call.in(kDOut) == out, "out and d_out are [N, D]");
  call.require(call.in(kLogSumExp) == Shape{shape.rows(), shape.heads}, "log_sum_exp is [N, H]");
  for (int i = 0; i < (shape.fused ? 1 : 3); ++i) call.output(call.in(0));
}

/// (log_sum_exp / ln 2, delta) of every row and head: written with d_q, read for d_k and d_v.
std::vector<Shape> scratch(const NodeView& node, const vk::DeviceProfile&, std::string_view) {
  const AttentionShape shape = attention_shape(node);
  return {{shape.rows(), 2 * shape.heads}};
}

void lower(LowerCall& call) {
  const AttentionShape shape = attention_shape(call);
  const auto input = [&](std::size_t i) { return AttentionBinding{call.input(i), call.in(i)}; };
  const auto output = [&](std::size_t i) { return AttentionBinding{call.output(i), call.out(i)}; };
  const AttentionBinding q = input(kQ), k = input(shape.fused ? kQ : kK), v = input(shape.fused ? kQ : kV);
  const AttentionBinding d_q = output(0), d_k = output(shape.fused ? 0 : 1), d_v = output(shape.fused ? 0 : 2);
  const AttentionBinding stats{call.scratch(0), {shape.rows(), 2 * shape.heads}};
  for (std::size_t i = 0; i < call.output_count(); ++i) {
    if (call.out(i).cols != call.out(i).ld()) call.clear(call.output(i));  // the kernels write no padding
  }
  launch_attention(call, AttentionPass::kBackwardQuery,
                   {q, k, v, input(kOut), input(kDOut), input(kLogSumExp), stats, d_q});
  launch_attention(call, AttentionPass::kBackwardKey, {q, k, v, input(kDOut), stats, d_k, d_v});
}

Cost cost(const NodeView& node) {
  const AttentionShape shape = attention_shape(node);
  const double qkv = (shape.fused ? 1.0 : 3.0) * static_cast<double>(node.in(kQ).bytes());
  return {.flops = 10 * shape.pairs() * static_cast<double>(shape.width()),
          .bytes = 2 * qkv + static_cast<double>(2 * node.in(kOut).bytes() + node.in(kLogSumExp).bytes())};
}

}  // namespace

extern const OpDef attention_backward;
const OpDef attention_backward{
    .name = "attention_backward",
    .formula =
        "d_v_j = sum_i p_ij d_out_i; d_s_ij = p_ij (d_out_i v_j - d_out_i out_i); d_q_i = sum_j d_s_ij k_j; d_k_j = "
        "sum_i d_s_ij q_i",
    .inputs = {"q", "k?", "v?", "out", "log_sum_exp", "d_out"},
    .attrs = {"batch", "heads", "window", "scaled"},
    .infer = infer,
    .lower = lower,
    .cost = cost,
    .variants = attention_variants,
    .scratch = scratch,
};

}  // namespace fabula::ops
