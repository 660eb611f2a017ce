#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct Push {
  std::uint32_t rows, row_begin, columns, sequence, position_begin, position_end;
};

void infer(InferCall& call) {
  const std::int64_t sequence = call.attrs().integer("sequence"), rows = call.attrs().integer("rows");
  call.require(sequence > 0 && sequence <= rows && call.in(0).rows % sequence == 0,
               "N is a multiple of sequence, and sequence is at most rows, the table's");
  call.output({rows, call.in(0).cols});
}

void lower(LowerCall& call) {
  const std::int64_t width = call.out().ld() / 4, sequence = call.attrs().integer("sequence");
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  for (const RowBlock& table : call.row_blocks({call.output()})) {
    for (const RowBlock& block : call.row_blocks({call.input(0)})) {
      call.dispatch({.shader = "add_position_backward",
                     .bindings = {{call.input(0), block.begin, block.end}, {call.output(), table.begin, table.end}},
                     .groups = LowerCall::grid((table.size() * width + 127) / 128)},
                    Push{u32(table.size()), u32(table.begin), u32(call.out().cols), u32(sequence), u32(block.begin),
                         u32(block.end)});
    }
  }
}
}  // namespace

extern const OpDef add_position_backward;
const OpDef add_position_backward{
    .name = "add_position_backward",
    .formula = "d_table[t] = sum over sequences b of d_y[b sequence + t], zero for t >= sequence",
    .inputs = {"d_y"},
    .attrs = {"sequence", "rows"},
    .infer = infer,
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(0).count()),
                      .bytes = double(node.in(0).bytes()) + double(node.out().bytes())};
        },
    .half = {"d_y"},
};

}  // namespace fabula::ops
