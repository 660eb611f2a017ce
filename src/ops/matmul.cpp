#include "ops/matmul_launch.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

enum Input : std::size_t { kA, kB, kBias, kResidual };

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

  void launch(const RowBlock& m, const RowBlock& n, const RowBlock& k) {
    const bool nt = size_.layout == MatmulLayout::kNT, tn = size_.layout == MatmulLayout::kTN;
    const Window y(call_.output(), m.begin, m.end);
    MatmulProduct product{.size = {size_.layout, m.size(), n.size(), k.size()},
                          .a = tn ? Window(call_.input(kA), k.begin, k.end) : Window(call_.input(kA), m.begin, m.end),
                          .b = nt ? Window(call_.input(kB), n.begin, n.end) : Window(call_.input(kB), k.begin, k.end),
                          .y = y,
                          .a_ld = call_.in(kA).ld(),
                          .b_ld = call_.in(kB).ld(),
                          .y_ld = call_.out().ld(),
                          .a_column = tn ? m.begin : k.begin,
                          .y_column = n.begin,
                          .bias_column = n.begin};
    // The first block of K takes bias and residual, every later one adds to what lies in y.
    if (k.begin > 0) {
      product.residual = y;
    } else {
      if (call_.has_input(kBias)) product.bias = Window(call_.input(kBias));
      if (call_.has_input(kResidual)) product.residual = Window(call_.input(kResidual), m.begin, m.end);
    }
    launch_matmul(call_, call_.variant(), product, split_, split_.count > 1 ? call_.scratch(0) : Value{});
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
  // The weights' gradient first: a recomputed `a` is done with before d_a takes memory.
  if (call.wanted(kB)) {
    const Value a = call.input(kA);
    call.add_gradient(kB, layout == MatmulLayout::kNN   ? call.op1("matmul", {a, d_y}, tn)
                          : layout == MatmulLayout::kNT ? call.op1("matmul", {d_y, a}, tn)
                                                        : call.op1("matmul", {a, d_y}));
  }
  if (call.wanted(kA)) {
    const Value b = call.input(kB);
    call.add_gradient(kA, layout == MatmulLayout::kNN   ? call.op1("matmul", {d_y, b}, nt)
                          : layout == MatmulLayout::kNT ? call.op1("matmul", {d_y, b})
                                                        : call.op1("matmul", {b, d_y}, nt));
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
    .variants =
        [](const NodeView& node, const vk::DeviceProfile& profile) {
          return matmul_variants(matmul_size(node), matmul_shuffle_fits(node, profile), profile);
        },
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
