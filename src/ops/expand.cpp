#include "base/ceil_div.hpp"
#include "ops/storage.hpp"
#include "ops/stored_table.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum ExpandInput : std::size_t { kBytes, kScales, kIds };

void infer(InferCall& call) {
  const Shape bytes = call.in(kBytes);
  call.require(is_scaled(call.dtype(kBytes)), "a table of signed bytes or of four bits");
  require_scales(call, kBytes, kScales);
  if (call.has_input(kIds))
    call.require(call.in(kIds).rows == 1 && call.dtype(kIds) == DType::kU32, "ids are words [1, N]");
  call.output({call.has_input(kIds) ? call.in(kIds).cols : bytes.rows, bytes.cols}, storage_type(call.attrs()));
}

struct Push {
  std::uint32_t rows, first, columns, row_begin, row_end, table_rows;
};

/// The part of y that `to` is, as far as it comes from rows `from` of the table.
void dispatch_part(LowerCall& call, const RowBlock& from, const RowBlock& to) {
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  const bool by_ids = call.has_input(kIds);
  const Window bytes(call.input(kBytes), from.begin, from.end);
  const Window scales(call.input(kScales), from.begin, from.end);
  call.dispatch(
      {.shader = "expand",
       .constants = {by_ids ? 1u : 0u, static_cast<std::uint32_t>(table_scales(call, kBytes, kScales))},
       .bindings = {{call.output(), to.begin, to.end}, bytes, scales, by_ids ? Window(call.input(kIds)) : scales},
       .groups = LowerCall::grid(ceil_div<std::int64_t>(to.size() * call.out().ld() / 4, 128))},
      Push{u32(to.size()), u32(to.begin), u32(call.out().cols), u32(from.begin), u32(from.end),
           u32(call.in(kBytes).rows)});
}

void lower(LowerCall& call) {
  if (!call.has_input(kIds)) {
    for (const RowBlock& rows : call.row_blocks({call.input(kBytes), call.input(kScales), call.output()}))
      dispatch_part(call, rows, rows);
    return;
  }
  for (const RowBlock& from : call.row_blocks({call.input(kBytes), call.input(kScales)}))
    for (const RowBlock& to : call.row_blocks({call.output()})) dispatch_part(call, from, to);
}
}  // namespace

extern const OpDef expand;
const OpDef expand{
    .name = "expand",
    .formula =
        "y = d q of signed bytes, d (q - 8) or d q + m of four bits, d and m of their group of 32 in a row; with ids "
        "y[n] "
        "= row ids[n], zero where there is none",
    .inputs = {"bytes", "scales", "ids?"},
    .attrs = {"out"},
    .infer = infer,
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          const double values = double(node.out().count());
          const double read = double(element_bits(node.in(kBytes).dtype)) / 8 + 0.0625;
          return Cost{.flops = values, .bytes = double(node.out().bytes()) + read * values};
        },
};

}  // namespace fabula::ops
