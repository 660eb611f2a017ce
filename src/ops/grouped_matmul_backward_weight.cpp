#include "ops/grouped_matmul.hpp"

#include "ops/grouped_launch.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum Input : std::size_t { kDZ, kX, kRows, kPlan };

template <class Call>
GroupedSize size_of(const Call& call) {
  return {.positions = call.in(kDZ).rows,
          .depth = call.in(kX).cols,
          .slots = call.in(kDZ).cols,
          .groups = call.attrs().integer("groups"),
          .weight_rows = call.attrs().integer("weight_rows")};
}

void infer(InferCall& call) {
  const GroupedSize size = size_of(call);
  call.require(
      size.groups > 0 && call.in(kRows) == Shape{1, size.groups * size.slots} && call.dtype(kRows) == DType::kU32,
      "rows are words [1, groups * columns of d_z]");
  call.require(size.weight_rows > 0, "weight_rows, those of the weight, are above zero");
  call.require(call.in(kX).rows == size.positions, "d_z and x that agree in rows");
  require_extent(call, size.positions, "positions");
  call.require(call.in(kPlan) == Shape{1, size.plan().words} && call.dtype(kPlan) == DType::kU32,
               "plan is a group plan for these positions and groups");
  call.output({size.weight_rows, size.depth});
  call.output({size.groups, size.slots});
}

void lower(LowerCall& call) {
  call.clear(call.output(0));  // rows that no group with positions names
  const bool windows = grouped_windows(size_of(call), call.profile(), call.variant()).count > 0;
  const GroupedProduct product(
      call, size_of(call), {.x = call.input(kX), .weight = {}, .rows = call.input(kRows), .plan = call.input(kPlan)});
  product.backward_weight(call.input(kDZ), call.output(0), call.output(1), windows ? call.scratch(0) : Value{},
                          windows ? call.scratch(1) : Value{});
}
}  // namespace

extern const OpDef grouped_matmul_backward_weight;
const OpDef grouped_matmul_backward_weight{
    .name = "grouped_matmul_backward_weight",
    .formula =
        "d_weight[rows[g S + s],k] = sum over the positions n of group g of d_z[n,s] x[n,k]; d_shift[g,s] = sum of "
        "d_z[n,s]",
    .inputs = {"d_z", "x", "rows", "plan"},
    .attrs = {"groups", "weight_rows"},
    .infer = infer,
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = size_of(node).flops(),
                      .bytes = double(node.in(kDZ).bytes()) + double(node.in(kX).bytes()) +
                               double(node.out(0).bytes()) + double(node.out(1).bytes())};
        },
    .variants = grouped_variants,
    .scratch = [](const NodeView& node, const vk::DeviceProfile& profile,
                  std::string_view variant) -> std::vector<Shape> {
      return grouped_window_sums(size_of(node), grouped_windows(size_of(node), profile, variant));
    },
};

}  // namespace fabula::ops
