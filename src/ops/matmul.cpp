#include "ops/matmul_plan.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

enum Input : std::size_t { kA, kB, kBias, kResidual };

/// The push constant block of shaders/include/matmul_output.glsl.
struct Push {
  std::uint32_t rows, cols, depth, a_stride, b_stride, y_stride, a_column, y_column, splits, split_depth, has_bias,
      has_residual;
};

void infer(InferCall& call) {
  call.require(call.attrs().integer_or("transpose_a", 0) == 0 || call.attrs().integer_or("transpose_b", 0) == 0,
               "at most one of transpose_a and transpose_b");
  const auto [layout, m, n, k] = matmul_size(call);
  const Shape b = call.in(kB);
  call.require((layout == MatmulLayout::kNT ? b.cols : b.rows) == k, "a and b that agree in K");
  call.require(layout != MatmulLayout::kNT || k <= kMatmulMaxDepth,
               "at most 262144 columns where both are stored along K");
  if (call.has_input(kBias)) call.require(call.in(kBias) == Shape{1, n}, "a bias [1,N]");
  if (call.has_input(kResidual)) call.require(call.in(kResidual) == Shape{m, n}, "a residual [M,N]");
  call.output({m, n});
}

std::uint32_t u32(std::int64_t value) {
  return static_cast<std::uint32_t>(value);
}

/// One matmul node on its way to launches: blocks of M, N and K, each of which may be more than the device can bind at
/// once.
class Lowering {
 public:
  explicit Lowering(LowerCall& call)
      : call_(call), size_(matmul_size(call)), split_(matmul_split(size_, call.profile(), call.variant())) {}

  void run() {
    for (const RowBlock& m : m_blocks())
      for (const RowBlock& n : n_blocks())
        for (const RowBlock& k : k_blocks()) launch(m, n, k);
  }

 private:
  bool texel() const { return call_.variant() == kMatmulShuffle; }
  std::int64_t max_rows(std::size_t input) const { return texel() ? texel_rows(call_.in(input), call_.profile()) : -1; }

  std::vector<RowBlock> m_blocks() const {
    const Value y = call_.output(), residual = call_.has_input(kResidual) ? call_.input(kResidual) : y;
    const std::int64_t y_rows =
        texel() ? texel_rows(call_.out(), call_.profile()) : -1;  // y is also read, as the residual
    if (size_.layout == MatmulLayout::kTN) return call_.row_blocks({y, residual}, y_rows);
    return call_.row_blocks({call_.input(kA), y, residual}, std::min(max_rows(kA), y_rows));
  }
  std::vector<RowBlock> n_blocks() const {
    if (size_.layout != MatmulLayout::kNT) return {{0, size_.n}};
    return call_.row_blocks({call_.input(kB)}, max_rows(kB));
  }
  std::vector<RowBlock> k_blocks() const {
    std::int64_t rows = max_rows(kB) > 0 ? std::min(max_rows(kB), kMatmulMaxDepth) : kMatmulMaxDepth;
    if (size_.layout == MatmulLayout::kNT) return {{0, size_.k}};
    if (size_.layout == MatmulLayout::kNN) return call_.row_blocks({call_.input(kB)}, rows);
    if (texel()) rows = std::min(rows, max_rows(kA));
    return call_.row_blocks({call_.input(kA), call_.input(kB)}, rows);
  }

  /// What a block's product reads and writes besides a and b.
  struct Ends {
    Window y, bias, residual;
    bool has_bias, has_residual;
  };

  void launch(const RowBlock& m, const RowBlock& n, const RowBlock& k) {
    const bool nt = size_.layout == MatmulLayout::kNT, tn = size_.layout == MatmulLayout::kTN;
    const Window a = tn ? Window(call_.input(kA), k.begin, k.end) : Window(call_.input(kA), m.begin, m.end);
    const Window b = nt ? Window(call_.input(kB), n.begin, n.end) : Window(call_.input(kB), k.begin, k.end);
    const std::int64_t splits = split_.count > 1 ? (k.size() + split_.depth - 1) / split_.depth : 1;
    const Push push{.rows = u32(m.size()),
                    .cols = u32(n.size()),
                    .depth = u32(k.size()),
                    .a_stride = u32(call_.in(kA).ld() / 4),
                    .b_stride = u32(call_.in(kB).ld() / 4),
                    .y_stride = u32(call_.out().ld() / 4),
                    .a_column = u32((tn ? m.begin : k.begin) / 4),
                    .y_column = u32(n.begin / 4),
                    .splits = u32(splits),
                    .split_depth = u32(splits > 1 ? split_.depth : k.size()),
                    .has_bias = 0,
                    .has_residual = 0};
    // The first block of K takes bias and residual, every later one adds to what lies in y. What is absent binds b,
    // unread.
    Ends ends{{call_.output(), m.begin, m.end}, b, b, k.begin == 0 && call_.has_input(kBias), true};
    if (ends.has_bias) ends.bias = Window(call_.input(kBias));
    if (k.begin > 0)
      ends.residual = ends.y;
    else if (call_.has_input(kResidual))
      ends.residual = Window(call_.input(kResidual), m.begin, m.end);
    else
      ends.has_residual = false;
    if (splits == 1) return multiply(a, b, ends, push);
    multiply(a, b, {call_.scratch(0), b, b, false, false}, push);
    merge(ends, push);
  }

  void multiply(const Window& a, const Window& b, const Ends& ends, Push push) {
    constexpr std::string_view kSuffix[] = {"_nn", "_nt", "_tn"};
    const MatmulTile tile = matmul_tile(call_.profile(), call_.variant());
    const std::int64_t tiles = ((push.rows + tile.m - 1) / tile.m) * ((push.cols + tile.n - 1) / tile.n);
    Launch launch{.shader = "matmul_" + std::string(call_.variant()),
                  .bindings = {a, b, ends.y, ends.bias, ends.residual},
                  .groups = LowerCall::grid(tiles * push.splits)};
    launch.shader += kSuffix[static_cast<std::size_t>(size_.layout)];
    if (texel()) {
      launch.subgroup_size = call_.profile().features.subgroup_size;
      launch.constants = {ends.has_residual, launch.subgroup_size};
    }
    push.has_bias = ends.has_bias;
    push.has_residual = ends.has_residual;
    call_.dispatch(launch, push);
  }

  void merge(const Ends& ends, Push push) {
    const std::int64_t vec4s = std::int64_t(push.rows) * ((push.cols + 3) / 4);
    push.has_bias = ends.has_bias;
    push.has_residual = ends.has_residual;
    call_.dispatch({.shader = "matmul_merge",
                    .bindings = {call_.scratch(0), ends.y, ends.bias, ends.residual},
                    .groups = LowerCall::grid((vec4s + 127) / 128)},
                   push);
  }

  LowerCall& call_;
  MatmulSize size_;
  MatmulSplit split_;
};

/// Every gradient is a matmul in one of the three layouts, so that no transpose is ever made.
void grad(GradCall& call) {
  const Value d_y = call.d_output();
  const Attrs nt{{"transpose_b", 1}}, tn{{"transpose_a", 1}};
  const MatmulLayout layout = matmul_size(call).layout;
  if (call.wanted(kA)) {
    const Value b = call.input(kB);
    call.add_gradient(kA, layout == MatmulLayout::kNN   ? call.op1("matmul", {d_y, b}, nt)
                          : layout == MatmulLayout::kNT ? call.op1("matmul", {d_y, b})
                                                        : call.op1("matmul", {b, d_y}, nt));
  }
  if (call.wanted(kB)) {
    const Value a = call.input(kA);
    call.add_gradient(kB, layout == MatmulLayout::kNN   ? call.op1("matmul", {a, d_y}, tn)
                          : layout == MatmulLayout::kNT ? call.op1("matmul", {d_y, a}, tn)
                                                        : call.op1("matmul", {a, d_y}));
  }
  if (call.wanted(kBias)) call.add_gradient(kBias, call.op1("sum_rows", {d_y}));
  if (call.wanted(kResidual)) call.add_gradient(kResidual, d_y);
}

Cost cost(const NodeView& node) {
  const MatmulSize size = matmul_size(node);
  double bytes = double(node.out().bytes());
  for (std::size_t i = 0; i < node.input_count(); ++i)
    if (node.has_input(i)) bytes += double(node.in(i).bytes());
  return {.flops = 2.0 * double(size.m) * double(size.n) * double(size.k), .bytes = bytes};
}

}  // namespace

extern const OpDef matmul;
const OpDef matmul{
    .name = "matmul",
    .formula = "y[M,N] = op(a) op(b) (+ bias[1,N]) (+ residual[M,N]); op transposes where the attribute says so",
    .inputs = {"a", "b", "bias?", "residual?"},
    .attrs = {"transpose_a", "transpose_b"},
    .infer = infer,
    .lower = [](LowerCall& call) { Lowering(call).run(); },
    .grad = grad,
    .cost = cost,
    .variants = matmul_variants,
    .scratch = [](const NodeView& node, const vk::DeviceProfile& profile,
                  std::string_view variant) -> std::vector<Shape> {
      const MatmulSize size = matmul_size(node);
      const MatmulSplit split = matmul_split(size, profile, variant);
      if (split.count == 1) return {};
      return {{split.count * size.m, size.n}};
    },
    .in_place = {{0, kResidual}},
};

}  // namespace fabula::ops
