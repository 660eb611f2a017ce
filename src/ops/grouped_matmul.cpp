#include "ops/grouped_matmul.hpp"

#include "ops/grouped_launch.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum Input : std::size_t { kX, kWeight, kRows, kShift, kPlan };

/// Of a node, or of one whose inputs are being inferred.
template <class Call>
GroupedSize size_of(const Call& call) {
  const std::int64_t groups = call.attrs().integer("groups");
  return {.positions = call.in(kX).rows,
          .depth = call.in(kX).cols,
          .slots = groups > 0 ? call.in(kRows).cols / groups : 0,
          .groups = groups,
          .weight_rows = call.in(kWeight).rows};
}

void infer(InferCall& call) {
  const GroupedSize size = size_of(call);
  call.require(size.groups > 0 && size.slots > 0 && call.in(kRows) == Shape{1, size.groups * size.slots} &&
                   call.dtype(kRows) == DType::kU32,
               "rows are words [1, groups * slots]");
  call.require(call.in(kWeight).cols == size.depth, "x and weight that agree in columns");
  require_extent(call, size.positions, "positions");
  require_extent(call, size.slots, "slots");
  require_extent(call, size.depth, "columns");
  if (call.has_input(kShift))
    call.require(call.in(kShift) == Shape{size.groups, size.slots}, "shift is [groups, slots]");
  call.require(call.in(kPlan) == Shape{1, size.plan().words} && call.dtype(kPlan) == DType::kU32,
               "plan is a group plan for these positions and groups");
  call.output({size.positions, size.slots});
}

void lower(LowerCall& call) {
  const GroupedProduct product(
      call, size_of(call),
      {.x = call.input(kX), .weight = call.input(kWeight), .rows = call.input(kRows), .plan = call.input(kPlan)});
  product.forward(call.has_input(kShift) ? call.input(kShift) : Value{}, call.output());
}

void grad(GradCall& call) {
  const GroupedSize size = size_of(call);
  const Value d_z = call.d_output(), rows = call.input(kRows), plan = call.input(kPlan);
  if (call.wanted(kX))
    call.add_gradient(kX, call.op1("grouped_matmul_backward_x", {d_z, call.input(kWeight), rows, plan}));
  if (!call.wanted(kWeight) && !call.wanted(kShift)) return;
  const auto d = call.op("grouped_matmul_backward_weight", {d_z, call.input(kX), rows, plan},
                         {{"groups", double(size.groups)}, {"weight_rows", double(size.weight_rows)}});
  if (call.wanted(kWeight)) call.add_gradient(kWeight, d[0]);
  if (call.wanted(kShift)) call.add_gradient(kShift, d[1]);
}
}  // namespace

extern const OpDef grouped_matmul;
const OpDef grouped_matmul{
    .name = "grouped_matmul",
    .formula =
        "z[n,s] = sum_k x[n,k] weight[rows[g S + s],k] (+ shift[g,s]) for the real slots s of n's group g, else 0",
    .inputs = {"x", "weight", "rows", "shift?", "plan"},
    .attrs = {"groups"},
    .infer = infer,
    .lower = lower,
    .grad = grad,
    .cost =
        [](const NodeView& node) {
          return Cost{
              .flops = size_of(node).flops(),
              .bytes = double(node.in(kX).bytes()) + double(node.in(kWeight).bytes()) + double(node.out().bytes())};
        },
    .variants = grouped_variants,
};

}  // namespace fabula::ops
