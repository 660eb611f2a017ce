#include "base/ceil_div.hpp"
#include "ops/reduction.hpp"
#include "ops/tensor_list.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct SquaresPush {
  std::uint32_t vec4_count, chunk4, chunks, first_sum;
};

std::size_t tensor_count(const NodeView& node) {
  return node.input_count() - 1;
}

/// Vec4s whose squares one row of invocations sums.
std::int64_t chunk_vec4s(std::string_view variant) {
  return variant == "serial" ? 1024 : 2048;
}

void infer(InferCall& call) {
  call.require(call.in(0) == Shape{1, 4}, "limits is [1, 4], max_norm first");
  call.require(call.input_count() > 1, "at least one gradient");
  call.output({1, 4});
}

void lower(LowerCall& call) {
  const std::vector<std::vector<Value>> kinds{input_list(call, 1, tensor_count(call))};
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  const ReductionShape shape = reduction_shape(call.variant(), chunk_vec4s(call.variant()));
  const std::vector<Run> runs = call.runs(kinds);
  std::int64_t first = 0;
  for (const Run& run : runs) {
    std::int64_t chunks = ceil_div(run.words / 4, chunk_vec4s(call.variant()));
    if (&run == &runs.back()) chunks = round_up(first + chunks, 4) - first;  // the sums are read as vec4s: zeros behind
    call.dispatch({.shader = "sum_squares",
                   .constants = shape.constants(),
                   .bindings = {run.window(kinds[0]), call.scratch(0)},
                   .groups = LowerCall::grid((chunks + shape.rows() - 1) / shape.rows())},
                  SquaresPush{u32(run.words / 4), u32(chunk_vec4s(call.variant())), u32(chunks), u32(first)});
    first += chunks;
  }
  constexpr std::uint32_t kInvocations = 128;
  call.dispatch({.shader = "clip_scale",
                 .constants = {kInvocations, kInvocations},
                 .bindings = {call.scratch(0), call.input(0), call.output()}},
                u32(first / 4));
}

/// Room for the chunks' sums, however the gradients lie: every row block may be a run of its own.
std::vector<Shape> scratch(const NodeView& node, const vk::DeviceProfile&, std::string_view variant) {
  std::int64_t chunks = 4;
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    const Shape& gradient = node.in(i);
    const std::int64_t blocks = (gradient.rows + 63) / 64;  // they start at multiples of 64 rows
    chunks += gradient.padded() / 4 / chunk_vec4s(variant) + 2 * blocks;
  }
  return {{1, chunks}};
}

Cost cost(const NodeView& node) {
  Cost total;
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    total.flops += 2.0 * double(node.in(i).count());
    total.bytes += double(node.in(i).bytes());
  }
  return total;
}
}  // namespace

extern const OpDef clip_scale;
const OpDef clip_scale{
    .name = "clip_scale",
    .formula =
        "{min(1, max_norm / (norm + 1e-6)), norm, 0, 0}, or {0, 0, 0, 1} when not finite; norm^2 = sum of all "
        "gradients' squares",
    .inputs = {"limits", "gradients..."},
    .infer = infer,
    .lower = lower,
    .cost = cost,
    .variants = reduction_variants,
    .scratch = scratch,
};

}  // namespace fabula::ops
