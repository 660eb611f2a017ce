#include "base/ceil_div.hpp"
#include "base/decode_slot.hpp"
#include "ops/stored_table.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum ClassInput : std::size_t { kX, kPlaces, kRowOf, kTable, kTableScales };

void infer(InferCall& call) {
  const Shape x = call.in(kX), table = call.in(kTable);
  call.require(is_float(x.dtype), "x of floats");
  call.require(call.in(kPlaces) == Shape{1, kPlaceWords * x.rows, DType::kU32}, "places are words [1, 4 R]");
  call.require(call.in(kRowOf).rows == 1 && call.dtype(kRowOf) == DType::kU32, "row_of is words [1, V]");
  call.require(table.cols == x.cols, "a table [C, D], D the columns of x");
  require_stored_table(call, kTable, kTableScales);
  call.output(x);
}

void lower(LowerCall& call) {
  const Shape x = call.in(kX);
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  for (const TablePart& part : table_parts(call, kTable, kTableScales)) {
    call.dispatch(
        {.shader = "add_class_vectors",
         .constants = {static_cast<std::uint32_t>(table_scales(call, kTable, kTableScales))},
         .bindings = {call.output(), call.input(kX), call.input(kPlaces), call.input(kRowOf), part.table, part.scales},
         .groups = LowerCall::grid(ceil_div<std::int64_t>(x.rows * x.ld() / 4, 128))},
        std::array<std::uint32_t, 6>{u32(x.rows), u32(x.cols), u32(part.rows.begin), u32(part.rows.end),
                                     u32(call.in(kTable).rows), u32(call.in(kRowOf).cols)});
  }
}
}  // namespace

extern const OpDef add_class_vectors;
const OpDef add_class_vectors{
    .name = "add_class_vectors",
    .formula =
        "y[r] = x[r] + table[row_of[token]], the token that places [1, 4 R] name for row r; x[r] where there is no "
        "such row or token; few bits times the scale of their group of 32 (for decoding: no gradient)",
    .inputs = {"x", "places", "row_of", "table", "scales?"},
    .infer = infer,
    .lower = lower,
    .cost = [](const NodeView& node) { return Cost{.flops = 0, .bytes = 3.0 * double(node.out().bytes())}; },
    .in_place = {{0, 0}},
};

}  // namespace fabula::ops
