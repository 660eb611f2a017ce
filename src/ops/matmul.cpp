#include <algorithm>
#include <array>
#include <cmath>

#include "base/fail.hpp"
#include "graph/sized_case.hpp"
#include "ops/matmul_launch.hpp"
#include "ops/storage.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

enum Input : std::size_t { kA, kB, kBias, kResidual, kAux };
enum Output : std::size_t { kY, kPre };

/// Attribute "activation".
enum Activation : std::int64_t { kNone, kGelu, kGeluBackward };
template <class Call>
Activation activation_of(const Call& call) {
  return static_cast<Activation>(call.attrs().integer_or("activation", kNone));
}

void infer(InferCall& call) {
  call.require(call.attrs().integer_or("transpose_a", 0) == 0 || call.attrs().integer_or("transpose_b", 0) == 0,
               "at most one of transpose_a and transpose_b");
  const auto [layout, m, n, k] = matmul_size(call);
  const Shape b = call.in(kB);
  call.require((layout == MatmulLayout::kNT ? b.cols : b.rows) == k, "a and b that agree in K");
  call.require(layout != MatmulLayout::kNT || k <= kMatmulMaxDepth,
               fmt::format("at most {} columns where both are stored along K", kMatmulMaxDepth));
  call.require(is_float(call.dtype(kA)) && is_float(call.dtype(kB)), "a and b of floats");
  const Shape y{m, n, storage_type(call.attrs(), call.dtype(kA))};
  if (call.has_input(kBias))
    call.require(call.in(kBias) == Shape{1, n} && call.dtype(kBias) == DType::kF32, "a bias [1,N] of fp32");
  const auto is_like_y = [&](std::size_t i) { return call.in(i) == y && call.dtype(i) == y.dtype; };
  if (call.has_input(kResidual)) call.require(is_like_y(kResidual), "a residual [M,N] of y's type");
  const Activation activation = activation_of(call);
  call.require(activation >= kNone && activation <= kGeluBackward, "an activation of 0, 1 (gelu) or 2 (gelu_backward)");
  call.require(call.has_input(kAux) == (activation == kGeluBackward), "aux with gelu_backward, and there alone");
  if (call.has_input(kAux)) call.require(is_like_y(kAux), "an aux [M,N] of y's type");
  call.output(y);
  if (call.attrs().integer_or("keep_pre", 0) == 0) return;
  call.require(activation == kGelu, "keep_pre with gelu");
  call.output(y);
}

MatmulActivation kernel_activation(const NodeView& node) {
  switch (activation_of(node)) {
    case kGelu:
      return node.output_count() > 1 ? MatmulActivation::kGeluKeep : MatmulActivation::kGelu;
    case kGeluBackward:
      return MatmulActivation::kGeluBackward;
    default:
      return MatmulActivation::kNone;
  }
}

/// A sum over launches can stand in y only if that is fp32 and nothing but a sum.
bool needs_whole_sum(const NodeView& node) {
  return activation_of(node) != kNone || is_half(node.out().dtype);
}

/// Does the sum stand in a scratch value, because K may have to be cut into several launches?
bool sums_in_scratch(const NodeView& node, const vk::DeviceProfile& profile, std::string_view variant) {
  const MatmulSize size = matmul_size(node);
  if (size.layout == MatmulLayout::kNT) return false;  // K is never cut
  if (!needs_whole_sum(node)) return false;
  const bool texel = variant == kMatmulShuffle;
  const auto cut = [&](std::size_t input) {
    const auto bytes = static_cast<std::uint64_t>(node.in(input).bytes());
    return bytes > profile.limits.max_storage_range || bytes > profile.limits.max_allocation ||
           (texel && texel_rows(node.in(input), profile) < size.k);
  };
  return size.k > kMatmulMaxDepth || cut(kB) || (size.layout == MatmulLayout::kTN && cut(kA));
}

/// One matmul node on its way to launches: blocks of M, N and K, each of which may be more than the device can bind at
/// once.
class Lowering {
 public:
  explicit Lowering(LowerCall& call)
      : call_(call), size_(matmul_size(call)), split_(matmul_split(size_, call.profile(), call.variant())) {
    if (sums_in_scratch(call, call.profile(), call.variant())) sums_ = call.scratch(split_.count > 1 ? 1 : 0);
  }

  void run() {
    for (const RowBlock& m : m_blocks()) {
      for (const RowBlock& n : n_blocks()) {
        const std::vector<RowBlock> k_blocks = this->k_blocks();
        ensure(k_blocks.size() == 1 || sums_ || !needs_whole_sum(call_), "{}: K is cut, which was not foreseen",
               call_.label());
        for (const RowBlock& k : k_blocks) launch(m, n, k);
        if (sums_) {
          launch_matmul_merge(call_, with_epilogue(product(m, n, {0, size_.k}), m), Window(*sums_, m.begin, m.end),
                              matmul_piece_ld(size_.n), 1);
        }
      }
    }
  }

 private:
  bool texel() const { return call_.variant() == kMatmulShuffle; }
  std::int64_t max_rows(std::size_t input) const { return texel() ? texel_rows(call_.in(input), call_.profile()) : -1; }

  std::vector<RowBlock> m_blocks() const {
    const Value y = call_.output();
    const auto or_y = [&](Value value) { return value ? value : y; };
    const Value residual = or_y(call_.input(kResidual)), aux = or_y(call_.input(kAux)), sums = sums_.value_or(y),
                pre = call_.output_count() > 1 ? call_.output(kPre) : y;
    const std::int64_t y_rows =
        texel() ? texel_rows(call_.out(), call_.profile()) : -1;  // y is also read, as the residual
    if (size_.layout == MatmulLayout::kTN) return call_.row_blocks({y, residual, aux, pre, sums}, y_rows);
    return call_.row_blocks({call_.input(kA), y, residual, aux, pre, sums}, std::min(max_rows(kA), y_rows));
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

  MatmulProduct product(const RowBlock& m, const RowBlock& n, const RowBlock& k) const {
    const bool nt = size_.layout == MatmulLayout::kNT, tn = size_.layout == MatmulLayout::kTN;
    return {.size = {size_.layout, m.size(), n.size(), k.size()},
            .a = tn ? Window(call_.input(kA), k.begin, k.end) : Window(call_.input(kA), m.begin, m.end),
            .b = nt ? Window(call_.input(kB), n.begin, n.end) : Window(call_.input(kB), k.begin, k.end),
            .y = Window(call_.output(), m.begin, m.end),
            .a_ld = call_.in(kA).ld(),
            .b_ld = call_.in(kB).ld(),
            .y_ld = call_.out().ld(),
            .a_column = tn ? m.begin : k.begin,
            .y_column = n.begin,
            .bias_column = n.begin};
  }
  MatmulProduct with_epilogue(MatmulProduct product, const RowBlock& m) const {
    const auto window = [&](Value value) { return Window(value, m.begin, m.end); };
    if (call_.has_input(kBias)) product.bias = Window(call_.input(kBias));
    if (call_.has_input(kResidual)) product.residual = window(call_.input(kResidual));
    if (call_.has_input(kAux)) product.aux = window(call_.input(kAux));
    if (call_.output_count() > 1) product.pre = window(call_.output(kPre));
    product.activation = kernel_activation(call_);
    return product;
  }

  void launch(const RowBlock& m, const RowBlock& n, const RowBlock& k) {
    MatmulProduct part = product(m, n, k);
    if (sums_) {
      part.y = Window(*sums_, m.begin, m.end);
      part.y_ld = matmul_piece_ld(size_.n);
    }
    // The first block of K takes bias and residual, every later one adds to what lies in y.
    if (k.begin > 0)
      part.residual = part.y;
    else if (!sums_)
      part = with_epilogue(part, m);
    launch_matmul(call_, call_.variant(), part, split_, split_.count > 1 ? call_.scratch(0) : Value{},
                  matmul_piece_ld(size_.n));
  }

  LowerCall& call_;
  MatmulSize size_;
  MatmulSplit split_;
  std::optional<Value> sums_ = {};  // a scratch value: those are not `true`
};

/// Every gradient is a matmul in one of the three layouts, so that no transpose is ever made. That of b is fp32 always:
/// b is a weight, whose gradients are summed up.
void grad(GradCall& call) {
  const Activation activation = activation_of(call);
  if (activation == kGeluBackward || (activation == kGelu && call.output_count() == 1)) {
    fail(ErrorCode::kUnsupported, "{}: no gradient flows through a matmul with this activation{}", call.label(),
         activation == kGelu ? " unless it keeps its product (keep_pre)" : "");
  }
  Value d_y = call.d_output(kY);
  if (activation == kGelu) {
    const Value d_pre = call.d_output(kPre);
    if (d_y) d_y = call.op1("gelu_backward", {call.output(kPre), d_y});
    d_y = d_y && d_pre ? call.op1("add", {d_y, d_pre}) : d_y ? d_y : d_pre;
  }
  if (call.wanted(kResidual)) call.add_gradient(kResidual, d_y);
  // Logits are fp32 whatever they were made of, and so are their gradients. They are rounded as every other layer's
  // are, so that both products run on 16-bit operands.
  if (is_half(call.in(kA).dtype) && (call.wanted(kA) || call.wanted(kB))) d_y = cast_to(call, d_y, call.in(kA).dtype);
  const Attrs plain, nt{{"transpose_b", 1}}, tn{{"transpose_a", 1}};
  const auto product = [&](Value a, Value b, Attrs attrs, DType type) {
    if (is_half(type) || is_half(call.in(kA).dtype) || is_half(call.out(kY).dtype))
      attrs.set("out", storage_code(type));
    return call.op1("matmul", {a, b}, std::move(attrs));
  };
  const MatmulLayout layout = matmul_size(call).layout;
  // The weights' gradient first: a recomputed `a` is done with before d_a takes memory.
  if (call.wanted(kB)) {
    const Value a = call.input(kA);
    call.add_gradient(kB, layout == MatmulLayout::kNN   ? product(a, d_y, tn, DType::kF32)
                          : layout == MatmulLayout::kNT ? product(d_y, a, tn, DType::kF32)
                                                        : product(a, d_y, plain, DType::kF32));
  }
  if (call.wanted(kA)) {
    const Value b = call.input(kB);
    const DType type = call.in(kA).dtype;
    call.add_gradient(kA, layout == MatmulLayout::kNN   ? product(d_y, b, nt, type)
                          : layout == MatmulLayout::kNT ? product(d_y, b, plain, type)
                                                        : product(b, d_y, nt, type));
  }
  if (call.wanted(kBias)) call.add_gradient(kBias, call.op1("sum_rows", {d_y}));
}

std::vector<std::string> variants(const NodeView& node, const vk::DeviceProfile& profile) {
  const DType a = node.in(kA).dtype, operands = a == node.in(kB).dtype ? a : DType::kF32;
  return matmul_variants(matmul_size(node), matmul_shuffle_fits(node, profile), profile, operands);
}

/// The reference computes a corner of the product, with all of K.
std::optional<SizedCase> sized(const NodeView& node, std::int64_t rows) {
  SizedCase sized{.launch = case_of(node)};
  MatmulSize size = matmul_size(node);
  const bool tn = size.layout == MatmulLayout::kTN, nt = size.layout == MatmulLayout::kNT;
  std::int64_t& fewer = tn ? size.k : size.m;
  fewer = std::min(fewer, rows);
  const auto shapes = [&](std::int64_t m, std::int64_t n) {
    return std::array<Shape, 5>{tn ? Shape{size.k, m} : Shape{m, size.k}, nt ? Shape{n, size.k} : Shape{size.k, n},
                                Shape{1, n}, Shape{m, n}, Shape{m, n}};
  };
  const auto launch = shapes(size.m, size.n),
             tiles = shapes(std::min(size.m, kTileRows), std::min(size.n, kTileColumns));
  for (std::size_t i = 0; i < sized.launch.inputs.size(); ++i) {
    OpCase::Input& input = sized.launch.inputs[i];
    if (input.present) input.shape = launch.at(i);
    sized.tiles.push_back(input.present ? tiles.at(i) : input.shape);
  }
  sized.launch.relative *= std::max(1.0, std::sqrt(static_cast<double>(size.k) / 256));  // as of the op's own cases
  return sized;
}

Cost cost(const NodeView& node) {
  const MatmulSize size = matmul_size(node);
  double bytes = double(node.out().bytes()) * double(node.output_count());
  for (std::size_t i = 0; i < node.input_count(); ++i)
    if (node.has_input(i)) bytes += double(node.in(i).bytes());
  return {.flops = 2.0 * double(size.m) * double(size.n) * double(size.k), .bytes = bytes};
}

}  // namespace

extern const OpDef matmul;
const OpDef matmul{
    .name = "matmul",
    .formula =
        "y[M,N] = activation(op(a) op(b) (+ bias[1,N]) (+ residual[M,N])); op transposes where the attribute says "
        "so; activation: 0 none, 1 gelu (keep_pre: its argument is the second output), 2 times gelu'(aux[M,N]); "
        "out: y's type",
    .inputs = {"a", "b", "bias?", "residual?", "aux?"},
    .attrs = {"transpose_a", "transpose_b", "activation", "keep_pre", "out"},
    .infer = infer,
    .lower = [](LowerCall& call) { Lowering(call).run(); },
    .grad = grad,
    .cost = cost,
    .variants = variants,
    .scratch = [](const NodeView& node, const vk::DeviceProfile& profile,
                  std::string_view variant) -> std::vector<Shape> {
      const MatmulSize size = matmul_size(node);
      const MatmulSplit split = matmul_split(size, profile, variant);
      std::vector<Shape> shapes;
      if (split.count > 1) shapes.push_back({split.count * size.m, size.n});
      if (sums_in_scratch(node, profile, variant)) shapes.push_back({size.m, size.n});
      return shapes;
    },
    .in_place = {{kY, kResidual}, {kY, kAux}},
    .fusions =
        {{.op = "gelu", .attr = "activation", .value = kGelu, .keep_attr = "keep_pre"},
         {.op = "gelu_backward", .input = 1, .attr = "activation", .value = kGeluBackward, .moved = {{0, kAux}}}},
    .half = {"a", "b", "residual", "aux"},
    .sized = sized,
};

}  // namespace fabula::ops
