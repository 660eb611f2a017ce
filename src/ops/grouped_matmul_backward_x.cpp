#include "ops/grouped_matmul.hpp"

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
  call.require(size.positions <= kGroupedMaxDepth && size.slots <= kGroupedMaxDepth,
               "at most 262144 positions and slots");
  call.require(call.in(kPlan) == Shape{1, size.plan().words} && call.dtype(kPlan) == DType::kU32,
               "plan is a group plan for these positions and groups");
  call.output({size.positions, size.depth});
}

std::uint32_t u32(std::int64_t value) {
  return static_cast<std::uint32_t>(value);
}

/// Blocks of weight rows add to d_x one after the other.
void lower(LowerCall& call) {
  const GroupedSize size = size_of(call);
  const Value d_z = call.input(kDZ), weight = call.input(kWeight), d_x = call.output();
  const auto row_blocks = call.row_blocks({weight});
  for (const RowBlock& positions : call.row_blocks({d_z, d_x})) {
    for (const RowBlock& rows : row_blocks) {
      const struct {
        std::uint32_t first_position, end_position, first_row, end_row, weight_rows, chunks, entries, groups, slots,
            columns, columns4, slots4;
      } push{u32(positions.begin),  u32(positions.end),      u32(rows.begin),          u32(rows.end),
             u32(size.weight_rows), u32(size.plan().chunks), u32(size.plan().entries), u32(size.groups),
             u32(size.slots),       u32(size.depth),         u32(call.out().ld() / 4), u32(call.in(kDZ).ld() / 4)};
      call.dispatch(
          Launch{.shader = "grouped_matmul_backward_x",
                 .constants = {row_blocks.size() > 1},
                 .bindings = {Window(d_z, positions.begin, positions.end), Window(weight, rows.begin, rows.end),
                              call.input(kRows), call.input(kPlan), Window(d_x, positions.begin, positions.end)},
                 .groups = LowerCall::grid(size.plan().chunks * grouped_tiles(size.depth))},
          push);
    }
  }
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
};

}  // namespace fabula::ops
