#include "ops/grouped_matmul.hpp"

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

/// The shuffle kernel has none: a software driver has few cores to share a large group between.
GroupedWindows windows_of(const NodeView& node, const vk::DeviceProfile& profile, std::string_view variant) {
  if (variant == kMatmulShuffle) return {};
  const std::uint64_t range = std::min<std::uint64_t>(profile.limits.max_storage_range, INT64_MAX);
  return grouped_windows(size_of(node), static_cast<std::int64_t>(range));
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

std::uint32_t u32(std::int64_t value) {
  return static_cast<std::uint32_t>(value);
}

/// The push constants of shaders/include/grouped_list.glsl.
struct Push {
  std::uint32_t first_position, end_position, first_row, end_row, windows, window, entries, group_chunks, groups, slots,
      columns, columns4, slots4, add;
};

/// The sums of one block of positions: first the windows', then, for every block of weight rows, the groups'.
void lower_positions(LowerCall& call, const RowBlock& positions, const std::vector<RowBlock>& row_blocks, bool cut) {
  const GroupedKernel kernel(call, "grouped_matmul_backward_weight", cut);
  const GroupedSize size = size_of(call);
  const GroupedWindows windows = windows_of(call, call.profile(), call.variant());
  const std::int64_t tiles =
      ceil_div(call.in(kDZ).ld(), kernel.tile_rows()) * ceil_div(call.out().ld(), kernel.tile_columns());
  const Window d_z(call.input(kDZ), positions.begin, positions.end), x(call.input(kX), positions.begin, positions.end);
  Push push{u32(positions.begin),
            u32(positions.end),
            0,
            0,
            u32(windows.count),
            u32(windows.length),
            u32(size.plan().entries),
            u32(size.plan().group_chunks),
            u32(size.groups),
            u32(size.slots),
            u32(size.depth),
            u32(call.out().ld() / 4),
            u32(call.in(kDZ).ld() / 4),
            positions.begin > 0};
  const Value plan = call.input(kPlan);
  Value sums = plan, shift_sums = plan;  // bound unread where there are no windows
  if (windows.count > 0) {
    sums = call.scratch(0);
    shift_sums = call.scratch(1);
    call.dispatch(Launch{.shader = "grouped_matmul_backward_weight_windows",
                         .constants = {cut},
                         .bindings = {d_z, x, plan, sums, shift_sums},
                         .groups = LowerCall::grid(windows.count * tiles)},
                  push);
  }
  for (const RowBlock& rows : row_blocks) {
    push.first_row = u32(rows.begin);
    push.end_row = u32(rows.end);
    const Window d_weight(call.output(0), rows.begin, rows.end);
    const Value d_shift = call.output(1), out_rows = call.input(kRows);
    call.dispatch(kernel.shuffle() ? kernel.launch({d_z, x, plan, out_rows, d_weight, d_shift}, size.groups * tiles)
                                   : kernel.launch({d_z, x, plan, sums, shift_sums, out_rows, d_weight, d_shift},
                                                   size.groups * tiles),
                  push);
  }
}

void lower(LowerCall& call) {
  call.clear(call.output(0));  // rows that no group with positions names
  const GroupedKernel any(call, "grouped_matmul_backward_weight", true);
  const auto position_blocks =
      call.row_blocks({call.input(kDZ), call.input(kX)}, std::min(any.max_rows(kDZ), any.max_rows(kX)));
  const auto row_blocks = call.row_blocks({call.output(0)});
  const bool cut = position_blocks.size() > 1 || row_blocks.size() > 1;
  for (const RowBlock& positions : position_blocks) lower_positions(call, positions, row_blocks, cut);
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
      const GroupedSize size = size_of(node);
      const GroupedWindows windows = windows_of(node, profile, variant);
      if (windows.count == 0) return {};
      return {{windows.count * size.slots, size.depth}, {windows.count, size.slots}};
    },
};

}  // namespace fabula::ops
