#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct Push {
  std::uint32_t positions, position_begin, columns, sequence, row_begin, row_end;
};

void infer(InferCall& call) {
  const Shape x = call.in(0), table = call.in(1);
  const std::int64_t sequence = call.attrs().integer("sequence");
  call.require(table.cols == x.cols && table.dtype == DType::kF32, "table is [T_max, D], fp32, for x [N, D]");
  call.require(sequence > 0 && sequence <= table.rows, "sequence is from 1 to the table's rows");
  call.require(x.rows % sequence == 0, "N is a multiple of sequence");
  call.output(x);
}

void lower(LowerCall& call) {
  const std::int64_t width = call.in(0).ld() / 4, sequence = call.attrs().integer("sequence");
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  for (const RowBlock& table : call.row_blocks({call.input(1)})) {
    if (table.begin >= sequence) break;
    const std::int64_t table_end = std::min(table.end, sequence);
    for (const RowBlock& block : call.row_blocks({call.input(0), call.output()})) {
      call.dispatch({.shader = "add_position",
                     .bindings = {{call.input(0), block.begin, block.end},
                                  {call.input(1), table.begin, table_end},
                                  {call.output(), block.begin, block.end}},
                     .groups = LowerCall::grid((block.size() * width + 127) / 128)},
                    Push{u32(block.size()), u32(block.begin), u32(call.in(0).cols), u32(sequence), u32(table.begin),
                         u32(table_end)});
    }
  }
}

void grad(GradCall& call) {
  call.add_gradient(0, call.d_output());
  if (!call.wanted(1)) return;
  call.add_gradient(1, call.op1("add_position_backward", {call.d_output()},
                                {{"sequence", call.attrs().get("sequence")}, {"rows", double(call.in(1).rows)}}));
}
}  // namespace

extern const OpDef add_position;
const OpDef add_position{
    .name = "add_position",
    .formula = "y[n] = x[n] + table[n % sequence]",
    .inputs = {"x", "table"},
    .attrs = {"sequence"},
    .infer = infer,
    .lower = lower,
    .grad = grad,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .in_place = {{0, 0}},
    .half = {"x"},
};

}  // namespace fabula::ops
