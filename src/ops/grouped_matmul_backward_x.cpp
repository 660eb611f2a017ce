#include "ops/grouped_matmul.hpp"

#include "ops/grouped_launch.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum Input : std::size_t { kDZ, kWeight, kRows, kPlan };

template <class Call>
GroupedSize size_of(const Call& call) {
  return {.positions = call.in(kDZ).rows,
          .depth = call.in(kWeight).cols,
          .slots = call.in(kDZ).cols,
          .groups = call.in(kRows).cols / call.in(kDZ).cols,
          .weight_rows = call.in(kWeight).rows};
}

void infer(InferCall& call) {
  const GroupedSize size = size_of(call);
  call.require(
      size.groups > 0 && call.in(kRows) == Shape{1, size.groups * size.slots} && call.dtype(kRows) == DType::kU32,
      "rows are words [1, groups * columns of d_z]");
  require_extent(call, size.positions, "positions");
  require_extent(call, size.slots, "slots");
  call.require(call.in(kPlan) == Shape{1, size.plan().words} && call.dtype(kPlan) == DType::kU32,
               "plan is a group plan for these positions and groups");
  call.output({size.positions, size.depth});
}

void lower(LowerCall& call) {
  const GroupedProduct product(
      call, size_of(call),
      {.x = {}, .weight = call.input(kWeight), .rows = call.input(kRows), .plan = call.input(kPlan)});
  product.backward_x(call.input(kDZ), call.output());
}
}  // namespace

extern const OpDef grouped_matmul_backward_x;
const OpDef grouped_matmul_backward_x{
    .name = "grouped_matmul_backward_x",
    .formula = "d_x[n,k] = sum over the real slots s of n's group g of d_z[n,s] weight[rows[g S + s],k]",
    .inputs = {"d_z", "weight", "rows", "plan"},
    .infer = infer,
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          return Cost{
              .flops = size_of(node).flops(),
              .bytes = double(node.in(kDZ).bytes()) + double(node.in(kWeight).bytes()) + double(node.out().bytes())};
        },
    .variants = grouped_variants,
};

}  // namespace fabula::ops
