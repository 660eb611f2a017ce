#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
struct Push {
  std::uint32_t rows, first_row, columns, size, sequence, row_begin, row_end;
};

void infer(InferCall& call) {
  const Shape x = call.in(0), angles = call.in(1);
  const std::int64_t heads = call.attrs().integer("heads"), sequence = call.attrs().integer("sequence");
  call.require(heads > 0 && x.cols % heads == 0 && x.cols / heads % 2 == 0, "x is [N, heads size], size even");
  call.require(angles.cols == x.cols / heads && angles.dtype == DType::kF32, "angles are [T, size], fp32");
  if (call.has_input(2)) {
    call.require(call.in(2) == Shape{1, x.rows} && call.dtype(2) == DType::kU32, "positions are words [1, N]");
  } else {
    call.require(sequence > 0 && sequence <= angles.rows, "sequence is from 1 to the table's rows");
    call.require(x.rows % sequence == 0, "N is a multiple of sequence");
  }
  call.output(x);
}

void lower(LowerCall& call) {
  const Shape x = call.in(0);
  const std::int64_t sequence = call.attrs().integer("sequence"), size = call.in(1).cols;
  const bool whole = size % 8 == 0, positions = call.has_input(2);
  const std::int64_t used = positions ? call.in(1).rows : sequence;
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  for (const RowBlock& table : call.row_blocks({call.input(1)})) {
    if (table.begin >= used) break;
    const std::int64_t table_end = std::min(table.end, used);
    for (const RowBlock& block : call.row_blocks({call.input(0), call.output()})) {
      const std::int64_t work = block.size() * x.ld() / (whole ? 8 : 4);
      call.dispatch({.shader = "rotary",
                     .constants = {whole, positions, call.attrs().integer_or("inverse", 0) != 0},
                     .bindings = {{call.input(0), block.begin, block.end},
                                  {call.input(1), table.begin, table_end},
                                  {call.output(), block.begin, block.end},
                                  positions ? Window(call.input(2)) : Window(call.input(1), table.begin, table_end)},
                     .groups = LowerCall::grid((work + 127) / 128)},
                    Push{u32(block.size()), u32(block.begin), u32(x.cols), u32(size), u32(sequence), u32(table.begin),
                         u32(table_end)});
    }
  }
}

void grad(GradCall& call) {
  call.add_gradient(0, call.op1("rotary", {call.d_output(), call.input(1), call.has_input(2) ? call.input(2) : Value{}},
                                {{"heads", call.attrs().get("heads")},
                                 {"sequence", call.attrs().get("sequence")},
                                 {"inverse", call.attrs().integer_or("inverse", 0) ? 0.0 : 1.0}}));
}
}  // namespace

extern const OpDef rotary;
const OpDef rotary{
    .name = "rotary",
    .formula =
        "per head, h = size / 2, (c, s) = angles[position of n], position = n % sequence where not given: y[i] = "
        "x[i] c[i] - x[i + h] s[i], y[i + h] = x[i + h] c[i] + x[i] s[i]; inverse: by -s",
    .inputs = {"x", "angles", "positions?"},
    .attrs = {"heads", "sequence", "inverse"},
    .infer = infer,
    .lower = lower,
    .grad = grad,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 3.0 * double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .half = {"x"},
};

}  // namespace fabula::ops
