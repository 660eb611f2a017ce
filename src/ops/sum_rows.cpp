#include "base/ceil_div.hpp"
#include "graph/sized_case.hpp"
#include "ops/texel.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

/// Rows of a row block that become one where x lies in several: blocks start at multiples of 64.
constexpr std::int64_t kBlockChunk = 64;
/// Rows that become one where x lies in one row block. Each chunk is a row written and read again, but few of them do
/// not fill a GPU.
constexpr std::int64_t chunk_rows(std::int64_t rows) {
  return rows >= 16384 ? 256 : 128;
}
constexpr std::string_view kTexel = "texel", kStorage = "storage";
constexpr std::int64_t kLastChunk = 256;  ///< as many rows as are summed in one go at the end

struct Push {
  std::uint32_t rows, columns, chunk, y_row;
};

void stage(LowerCall& call, const Window& x, std::int64_t rows, Value y, std::int64_t chunk, std::int64_t y_row) {
  const std::int64_t stride = call.out().ld() / 4;
  const std::int64_t groups = ceil_div(rows, chunk) * ceil_div(stride, 16);
  call.dispatch(
      {.shader = "sum_rows_" + std::string(call.variant()), .bindings = {x, y}, .groups = LowerCall::grid(groups)},
      Push{std::uint32_t(rows), std::uint32_t(call.out().cols), std::uint32_t(chunk), std::uint32_t(y_row)});
}

/// Chunks of rows until 256 or fewer are left, which one last stage sums.
void lower(LowerCall& call) {
  Value x = call.input(0);
  std::int64_t rows = call.in(0).rows;
  const std::int64_t max_rows = call.variant() == kTexel ? texel_rows(call.in(0), call.profile()) : -1;
  for (std::size_t level = 0;; ++level) {
    const std::vector<RowBlock> blocks = call.row_blocks({x}, max_rows);
    if (rows <= kLastChunk && blocks.size() == 1) return stage(call, x, rows, call.output(), kLastChunk, 0);
    const Value partial = call.scratch(level);
    const std::int64_t chunk = blocks.size() == 1 ? chunk_rows(rows) : kBlockChunk;
    for (const RowBlock& block : blocks) {  // scratch may be longer than the rows in use
      const std::int64_t end = std::min(block.end, rows);
      if (block.begin < end) stage(call, {x, block.begin, end}, end - block.begin, partial, chunk, block.begin / chunk);
    }
    x = partial;
    rows = ceil_div(rows, chunk);
  }
}

}  // namespace

extern const OpDef sum_rows;
const OpDef sum_rows{
    .name = "sum_rows",
    .formula = "y[1,N] = sum over the rows of x[M,N], in fixed chunks",
    .inputs = {"x"},
    .infer =
        [](InferCall& call) {
          call.output({1, call.in(0).cols});
        },
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = double(node.in(0).count()), .bytes = double(node.in(0).bytes() + node.out().bytes())};
        },
    .variants =
        [](const NodeView& node, const vk::DeviceProfile& profile) {
          std::vector<std::string> names{std::string(kStorage)};
          if (node.in(0).dtype == DType::kF32 && prefers_texels(profile) && texel_rows(node.in(0), profile) > 0)
            names.insert(names.begin(), std::string(kTexel));
          return names;
        },
    // One level for every stage but the last; a small x may still lie in several blocks and then takes one level more.
    .scratch =
        [](const NodeView& node, const vk::DeviceProfile&, std::string_view) {
          std::vector<Shape> levels;
          for (std::int64_t rows = node.in(0).rows; rows > kBlockChunk; rows = ceil_div(rows, kBlockChunk))
            levels.push_back({ceil_div(rows, kBlockChunk), node.in(0).cols});
          return levels;
        },
    .half = {"x"},
    .sized = sized_by_fewer_rows,
};

}  // namespace fabula::ops
