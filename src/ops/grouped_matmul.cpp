#include "ops/grouped_matmul.hpp"

#include "base/segments.hpp"

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
  const GroupedSize size = size_of(call);
  const Value x = call.input(kX), weight = call.input(kWeight), z = call.output();
  const GroupedKernel any(call, "grouped_matmul", true);
  const auto position_blocks = call.row_blocks({x, z}, any.max_rows(kX));
  const auto row_blocks = call.row_blocks({weight}, any.max_rows(kWeight));
  const GroupedKernel kernel(call, "grouped_matmul", position_blocks.size() > 1 || row_blocks.size() > 1);
  const std::int64_t groups = size.plan().chunks * ceil_div(kSegmentChunk, kernel.tile_rows()) *
                              ceil_div(call.out().ld(), kernel.tile_columns());
  const Value shift = call.has_input(kShift) ? call.input(kShift) : call.input(kPlan);  // what is absent is not read
  for (const RowBlock& positions : position_blocks) {
    for (const RowBlock& rows : row_blocks) {
      GroupedPush push = grouped_push(size, positions, rows);
      push.has_shift = call.has_input(kShift);
      call.dispatch(
          kernel.launch({Window(x, positions.begin, positions.end), Window(weight, rows.begin, rows.end),
                         call.input(kRows), shift, call.input(kPlan), Window(z, positions.begin, positions.end)},
                        groups),
          push);
    }
  }
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
