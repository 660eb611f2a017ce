#include "ops/reduction.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
// A chunk is up to 1024 vec4s of one unit of 64 rows (where row blocks start), so that chunks do not depend on how x is
// cut.
constexpr std::int64_t kUnit = 64, kChunk = 1024, kPartials = 256;

struct Push {
  std::uint32_t rows, width, parts, chunks, first_sum;
};

std::int64_t chunks_of_unit(const Shape& x) {
  return (std::min(x.rows, kUnit) * (x.ld() / 4) + kChunk - 1) / kChunk;
}
std::int64_t chunk_count(const Shape& x, std::int64_t rows) {
  return (rows + kUnit - 1) / kUnit * chunks_of_unit(x);
}
bool needs_fold(const Shape& x) {
  return chunk_count(x, x.rows) > kPartials;
}

void infer(InferCall& call) {
  const std::int64_t row = call.attrs().integer("row");
  call.require(call.in(1).cols == kPartials && row >= 0 && row < call.in(1).rows,
               "norms is [P, 256] and row one of its rows");
}

void lower(LowerCall& call) {
  const Shape& x = call.in(0);
  const std::int64_t row = call.attrs().integer("row");
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  const Window norm{call.input(1), row, row + 1};
  const bool fold = needs_fold(x);
  const ReductionShape shape = reduction_shape(call.variant(), kChunk);
  for (const RowBlock& block : call.row_blocks({call.input(0)})) {
    const std::int64_t first = chunk_count(x, block.begin);
    // Without a fold the sums are the partials, and the last launch clears those that no chunk fills.
    const std::int64_t chunks = !fold && block.end == x.rows ? kPartials - first : chunk_count(x, block.size());
    call.dispatch({.shader = "sum_squares",
                   .constants = shape.constants(),
                   .bindings = {{call.input(0), block.begin, block.end}, fold ? Window(call.scratch(0)) : norm},
                   .groups = LowerCall::grid((chunks + shape.rows() - 1) / shape.rows())},
                  Push{u32(block.size()), u32(x.ld() / 4), u32(chunks_of_unit(x)), u32(chunks), u32(first)});
  }
  if (fold) {
    call.dispatch(
        {.shader = "sum_squares_fold", .bindings = {call.scratch(0), norm}, .groups = {kPartials / 128, 1, 1}},
        u32(chunk_count(x, x.rows)));
  }
}
}  // namespace

extern const OpDef sum_squares;
const OpDef sum_squares{
    .name = "sum_squares",
    .formula = "norms[row] = 256 partial sums of x^2; -1 marks one that met an infinity or a NaN",
    .inputs = {"x", "norms"},
    .attrs = {"row"},
    .infer = infer,
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 2.0 * double(node.in(0).count()), .bytes = double(node.in(0).bytes())};
        },
    .variants = reduction_variants,
    .scratch =
        [](const NodeView& node, const vk::DeviceProfile&, std::string_view) {
          if (!needs_fold(node.in(0))) return std::vector<Shape>{};
          return std::vector<Shape>{{1, chunk_count(node.in(0), node.in(0).rows)}};
        },
    .mutates = {1},
};

}  // namespace fabula::ops
