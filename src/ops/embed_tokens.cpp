#include "base/ceil_div.hpp"
#include "base/decode_slot.hpp"
#include "ops/storage.hpp"
#include "ops/stored_table.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum EmbedInput : std::size_t { kSlots, kSlotOfRow, kTable, kTableScales, kPositionTable };

void infer(InferCall& call) {
  const Shape slots = call.in(kSlots), rows = call.in(kSlotOfRow), table = call.in(kTable);
  call.require(slots.cols == kSlotWords && call.dtype(kSlots) == DType::kU32, "slots are words [S, 32]");
  call.require(rows.rows == 1 && call.dtype(kSlotOfRow) == DType::kU32, "rows are words [1, R]");
  require_stored_table(call, kTable, kTableScales);
  if (call.has_input(kPositionTable))
    call.require(call.in(kPositionTable).cols == table.cols && is_float(call.dtype(kPositionTable)),
                 "a table of positions [T, D]");
  call.output({rows.cols, table.cols}, storage_type(call.attrs()));
  call.output({1, rows.cols * kPlaceWords}, DType::kU32);
}

void lower(LowerCall& call) {
  const Shape table = call.in(kTable), x = call.out();
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  for (const TablePart& part : table_parts(call, kTable, kTableScales)) {
    call.dispatch(
        {.shader = "embed_tokens",
         .constants = {static_cast<std::uint32_t>(table_scales(call, kTable, kTableScales))},
         .bindings = {call.output(0), call.output(1), call.input(kSlots), call.input(kSlotOfRow), part.table,
                      part.scales,
                      call.has_input(kPositionTable) ? Window(call.input(kPositionTable)) : call.output(0)},
         .groups = LowerCall::grid(ceil_div<std::int64_t>(x.rows * x.ld() / 4, 128))},
        std::array<std::uint32_t, 7>{u32(x.rows), u32(x.cols), u32(call.in(kSlots).rows), u32(part.rows.begin),
                                     u32(part.rows.end), u32(table.rows), call.has_input(kPositionTable)});
  }
}
}  // namespace

extern const OpDef embed_tokens;
const OpDef embed_tokens{
    .name = "embed_tokens",
    .formula =
        "x[r] = table[token] + positions[position] of the slot rows[r], zero where its text is over; places "
        "[1, 4 R] = {slot, position, live, token}; few bits times the scale of their group of 32",
    .inputs = {"slots", "rows", "table", "scales?", "positions?"},
    .attrs = {"out"},
    .infer = infer,
    .lower = lower,
    .cost = [](const NodeView& node) { return Cost{.flops = 0, .bytes = 3.0 * double(node.out().bytes())}; },
};

}  // namespace fabula::ops
