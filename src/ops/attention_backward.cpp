#include "graph/sized_case.hpp"
#include "ops/attention_coop.hpp"
#include "reference/attention.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

enum Input : std::size_t { kQ, kK, kV, kOut, kLogSumExp, kDOut };

void infer(InferCall& call) {
  const AttentionShape shape = infer_attention(call);
  const Shape out{shape.rows(), shape.width()};
  call.require(call.in(kOut) == out && call.in(kDOut) == out, "out and d_out are [N, D]");
  call.require(call.in(kOut).dtype == call.in(kQ).dtype && call.in(kDOut).dtype == call.in(kQ).dtype,
               "q, k, v, out and d_out have one type");
  call.require(call.in(kLogSumExp) == Shape{shape.rows(), shape.heads}, "log_sum_exp is [N, H]");
  for (int i = 0; i < (shape.fused ? 1 : 3); ++i) call.output(call.in(0));
}

/// Parts of d_q that wait to be added: [sequences at a time * rows of a sequence, D].
AttentionParts parts_of(const AttentionShape& shape, const vk::DeviceProfile& profile, std::string_view variant) {
  const AttentionBlock block = variant == "coop" ? attention_coop_block(shape.head_size, true, profile)
                                                 : attention_block(shape.head_size, true, profile);
  return attention_parts(shape, block, profile);
}
Shape parts_shape(const AttentionShape& shape, const vk::DeviceProfile& profile, std::string_view variant) {
  const AttentionParts parts = parts_of(shape, profile, variant);
  return {parts.sequences * parts.rows, shape.width()};
}

/// (log_sum_exp / ln 2, delta) of every row and head, written first or with d_q; in variant block the parts of d_q.
std::vector<Shape> scratch(const NodeView& node, const vk::DeviceProfile& profile, std::string_view variant) {
  const AttentionShape shape = attention_shape(node);
  std::vector<Shape> shapes{{shape.rows(), 2 * shape.heads}};
  if (variant == "block" || variant == "coop") shapes.push_back(parts_shape(shape, profile, variant));
  return shapes;
}

void lower(LowerCall& call) {
  const AttentionShape shape = attention_shape(call);
  const auto input = [&](std::size_t i) { return AttentionBinding{call.input(i), call.in(i)}; };
  const auto output = [&](std::size_t i) { return AttentionBinding{call.output(i), call.out(i)}; };
  const AttentionBinding q = input(kQ), k = input(shape.fused ? kQ : kK), v = input(shape.fused ? kQ : kV);
  const AttentionBinding d_q = output(0), d_k = output(shape.fused ? 0 : 1), d_v = output(shape.fused ? 0 : 2);
  const AttentionBinding stats{call.scratch(0), {shape.rows(), 2 * shape.heads}};
  for (std::size_t i = 0; i < call.output_count(); ++i) {
    if (is_half(call.out(i).dtype))
      clear_packed_heads(call, i);
    else if (call.out(i).cols != call.out(i).ld())
      call.clear(call.output(i));  // the kernels write no padding
  }
  const auto kernel = [&](AttentionPass pass) { return attention_kernel(pass, call.variant(), shape, call.profile()); };
  const AttentionKernel key = kernel(AttentionPass::kBackwardKey);
  if (call.variant() != "block" && call.variant() != "coop") {
    launch_attention(call, {{kernel(AttentionPass::kBackwardQuery),
                             {q, k, v, input(kOut), input(kDOut), input(kLogSumExp), stats, d_q}}});
    launch_attention(call, {{key, {q, k, v, input(kDOut), stats, d_k, d_v}}});
    return;
  }
  const AttentionBinding parts{call.scratch(1), parts_shape(shape, call.profile(), call.variant()), true};
  constexpr std::uint32_t kLocal = 128;
  const auto head = static_cast<std::uint32_t>(shape.head_size), keys = static_cast<std::uint32_t>(key.rows_a_group);
  const AttentionKernel delta{"attention_backward_delta", {kLocal, head}, 0, key.rows_a_group};
  const AttentionKernel sum{"attention_backward_sum", {kLocal, head, keys}, 0, key.rows_a_group};
  launch_attention(call,
                   {{delta, {input(kOut), input(kDOut), input(kLogSumExp), stats}, shape.positions * shape.heads}});
  launch_attention(call,
                   {{key, {q, k, v, input(kDOut), stats, d_k, d_v, parts}},
                    {sum, {parts, d_q}, shape.positions * shape.width() / 4}},
                   parts_of(shape, call.profile(), call.variant()).sequences);
}

Cost cost(const NodeView& node) {
  const AttentionShape shape = attention_shape(node);
  const double qkv = (shape.fused ? 1.0 : 3.0) * static_cast<double>(node.in(kQ).bytes());
  return {.flops = 10 * shape.pairs() * static_cast<double>(shape.width()),
          .bytes = 2 * qkv + static_cast<double>(2 * node.in(kOut).bytes() + node.in(kLogSumExp).bytes())};
}

std::optional<SizedCase> sized(const NodeView& node, std::int64_t rows) {
  SizedCase sized{.launch = reference::attention_backward_case(
                      reference::attention_like(node.attrs(), node.in(0), !node.has_input(1), rows))};
  for (std::size_t i = 0; i < node.input_count(); ++i)
    if (node.has_input(i)) sized.launch.inputs.at(i).dtype = node.in(i).dtype;
  return sized;
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
    .variants = [](const NodeView& node,
                   const vk::DeviceProfile& profile) { return attention_variants(node, profile, true); },
    .scratch = scratch,
    .half = {"q", "k", "v", "out", "d_out"},
    .half_inner = 1,  // variant coop rounds the weights and their gradients,
    .sized = sized,
};

}  // namespace fabula::ops
