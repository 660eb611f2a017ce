#include <limits>

#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum Input : std::size_t { kU, kScale, kShift, kResidual, kPlaces };

/// The rows R of the batch: those of u, or of the residual.
template <class Call>
std::int64_t batch_rows(const Call& call) {
  return call.in(call.has_input(kU) ? kU : kResidual).rows;
}

void infer_grouped_all_logits(InferCall& call) {
  const Shape shift = call.in(kShift), places = call.in(kPlaces);
  call.require(call.has_input(kU) || call.has_input(kResidual), "u or residual, or both");
  call.require(!call.has_input(kScale) || call.has_input(kU), "scale comes with u");
  const std::int64_t rows = batch_rows(call);
  call.require(!call.has_input(kU) || call.in(kU) == Shape{rows, shift.cols}, "u is [R, columns of shift]");
  call.require(!call.has_input(kScale) || call.in(kScale) == shift, "scale has the shape of shift");
  call.require(!call.has_input(kResidual) || call.in(kResidual).rows == rows, "residual has the rows of u");
  call.require(places.rows == 1 && places.cols % 2 == 0 && call.dtype(kPlaces) == DType::kU32,
               "places is [1, 2 M], u32");
  call.require(shift.count() <= std::numeric_limits<std::uint32_t>::max(), "groups times slots fit 32 bits");
  call.output({rows, places.cols / 2});
}

void lower_grouped_all_logits(LowerCall& call) {
  const bool has_u = call.has_input(kU), has_scale = call.has_input(kScale), has_residual = call.has_input(kResidual);
  const Shape shift = call.in(kShift), z = call.out();
  // What is not given is never read; another input stands in for its binding.
  const Value u = call.input(has_u ? kU : kResidual), scale = call.input(has_scale ? kScale : kShift);
  const Value residual = call.input(has_residual ? kResidual : kU);
  for (const RowBlock& rows : call.row_blocks({u, residual, call.output()})) {
    for (const RowBlock& groups : call.row_blocks({scale, call.input(kShift)})) {
      const struct {
        std::uint32_t rows, slots, first_group, end_group, groups, tokens, residual_columns;
        std::uint32_t has_u, has_scale, has_residual;
      } push{std::uint32_t(rows.size()),
             std::uint32_t(shift.cols),
             std::uint32_t(groups.begin),
             std::uint32_t(groups.end),
             std::uint32_t(shift.rows),
             std::uint32_t(z.cols),
             has_residual ? std::uint32_t(call.in(kResidual).cols) : 0,
             has_u,
             has_scale,
             has_residual};
      call.dispatch(Launch{.shader = "grouped_all_logits",
                           .bindings = {Window(u, rows.begin, rows.end), Window(scale, groups.begin, groups.end),
                                        Window(call.input(kShift), groups.begin, groups.end),
                                        Window(residual, rows.begin, rows.end), call.input(kPlaces),
                                        Window(call.output(), rows.begin, rows.end)},
                           .groups = LowerCall::grid(rows.size() * ((z.ld() + 127) / 128))},
                    push);
    }
  }
}
}  // namespace

extern const OpDef grouped_all_logits;
const OpDef grouped_all_logits{
    .name = "grouped_all_logits",
    .formula =
        "z[r, i] = scale[at] u[r, slot] + shift[at] + residual[r, column], places[2 i] = at = g S + slot, places[2 i + "
        "1] = column (for decoding: no gradient)",
    .inputs = {"u?", "scale?", "shift", "residual?", "places"},
    .infer = infer_grouped_all_logits,
    .lower = lower_grouped_all_logits,
    .cost =
        [](const NodeView& node) {
          const double entries = double(node.out().count());
          return Cost{.flops = 3.0 * entries,
                      .bytes = double(node.out().bytes()) + 4.0 * (entries + 4.0 * double(node.out().cols))};
        },
};

}  // namespace fabula::ops
