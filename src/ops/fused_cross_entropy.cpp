#include <cmath>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "ops/matmul_launch.hpp"
#include "ops/mean_gradient.hpp"
#include "ops/row_lanes.hpp"
#include "ops/sum_lowering.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

enum Input : std::size_t { kH, kWeight, kLabels, kBias, kScale, kCount };
enum Output : std::size_t { kMean, kLoss, kCorrect, kDH, kDWeight, kDBias };

struct Sizes {
  std::int64_t positions, hidden, vocabulary;
  bool gradient, bias;
  DType dtype;  ///< of h, weight and the logits' gradients; logits are fp32
  bool half_gradient() const { return gradient && is_half(dtype); }
};
template <class Call>
Sizes sizes_of(const Call& call) {
  return {call.in(kH).rows,       call.in(kH).cols,      call.in(kWeight).rows,
          call.has_input(kScale), call.has_input(kBias), call.in(kH).dtype};
}

/// How positions and tokens are cut. A chunk's logits stand in scratch all at once, in blocks of columns one behind the
/// other, each small enough to be bound.
struct Cut {
  std::int64_t chunk;    ///< positions, a multiple of 64 or all of them
  std::int64_t columns;  ///< tokens of a block, a multiple of kBlockColumns or all of them
};
constexpr std::int64_t kBlockColumns = 128;  ///< blocks begin at aligned offsets, also in 16 bits
Cut cut_of(const Sizes& sizes, const vk::DeviceProfile& profile, std::string_view variant) {
  // With the pieces of products whose K is cut, all scratch stays below 256 MiB, unless that leaves products of so few
  // positions that they are slow: then it may take twice what the table takes.
  constexpr std::int64_t kChunkBytes = 239 << 20, kFewPositions = 1024;
  const bool texel = variant == kMatmulShuffle;
  std::int64_t range = std::int64_t(profile.limits.max_storage_range);
  if (texel) range = std::min(range, std::int64_t(profile.limits.max_texel_elements) * 16);
  const auto whole = [](std::int64_t rows) { return std::max<std::int64_t>(rows / 64 * 64, 64); };
  const std::int64_t row_bytes = Shape{1, sizes.vocabulary}.bytes();
  const std::int64_t
      all_bytes =  // of a position's logits and, where they do not take the logits' place, their gradients
      row_bytes + (sizes.half_gradient() ? Shape{1, sizes.vocabulary, sizes.dtype}.bytes() : 0);
  // No wider than high where a binding holds little: both sides of a block are a product's depth.
  const auto square = static_cast<std::int64_t>(std::sqrt(static_cast<double>(range) / 4));
  const std::int64_t rows = std::max(kChunkBytes / all_bytes, std::min(kFewPositions, 2 * sizes.hidden));
  // A chunk's logits lie in one piece of memory.
  const std::int64_t fit = std::int64_t(profile.limits.max_allocation) / row_bytes;
  if (fit < std::min<std::int64_t>(sizes.positions, 64)) {
    fail(ErrorCode::kUnsupported,
         "a vocabulary of {} tokens: the logits of 64 positions take {} bytes, the device allocates {} at once",
         sizes.vocabulary, 64 * row_bytes, profile.limits.max_allocation);
  }
  const std::int64_t chunk = std::min({sizes.positions, whole(rows), whole(square), whole(fit)});
  std::int64_t columns = std::min(range / (4 * chunk), kMatmulMaxDepth);
  if (texel) columns = std::min(columns, texel_rows({sizes.vocabulary, sizes.hidden}, profile));
  if (is_half(sizes.dtype)) columns = std::min(columns, range / Shape{1, sizes.hidden}.bytes());  // rows of d_weight
  if (columns >= sizes.vocabulary) return {chunk, sizes.vocabulary};
  return {chunk, std::max(columns / kBlockColumns * kBlockColumns, kBlockColumns)};
}

/// How the products of the gradient are computed: for whole chunks and blocks; smaller ones take fewer pieces of K.
struct Products {
  std::string d_h_kernel, d_weight_kernel;
  MatmulSplit d_h_split, d_weight_split;
};
/// The node's variant, or what is better for one of its products: large tiles do not pay in every one; coop_khr stands
/// for the better of its two forms in each, coop_khr_wide for the wide one in all.
std::string kernel_of(const MatmulSize& size, const vk::DeviceProfile& profile, std::string_view variant, DType dtype) {
  const bool tiles = variant == kMatmulTile128 && profile.device_class == vk::DeviceClass::kDiscrete;
  const bool narrow = variant == kMatmulCoopKhr || variant == kMatmulCoopKhrBf16;
  if (tiles || narrow || (is_matmul_coop(variant) && !matmul_coop_pays(size)))
    return matmul_variants(size, false, profile, tiles ? DType::kF32 : dtype).front();
  return std::string(variant);
}
Products products_of(const Sizes& sizes, const vk::DeviceProfile& profile, std::string_view variant) {
  const Cut cut = cut_of(sizes, profile, variant);
  const MatmulSize d_h{MatmulLayout::kNN, cut.chunk, sizes.hidden, cut.columns};
  const MatmulSize d_weight{MatmulLayout::kTN, cut.columns, sizes.hidden, cut.chunk};
  Products products{
      kernel_of(d_h, profile, variant, sizes.dtype), kernel_of(d_weight, profile, variant, sizes.dtype), {}, {}};
  products.d_h_split = matmul_split(d_h, profile, products.d_h_kernel);
  products.d_weight_split = matmul_split(d_weight, profile, products.d_weight_kernel);
  return products;
}

enum Scratch : std::size_t { kLogits, kLabelLogit, kStats, kLogSumExp, kPartials, kDLogits, kPieces };
constexpr std::int64_t kRowBytes = 256;  ///< of a row of the scratch values that hold a chunk's logits

std::vector<Shape> scratch(const NodeView& node, const vk::DeviceProfile& profile, std::string_view variant) {
  const Sizes sizes = sizes_of(node);
  const Cut cut = cut_of(sizes, profile, variant);
  const auto chunk_shape = [&](DType dtype) {
    const std::int64_t elements = cut.chunk * Shape{1, sizes.vocabulary, dtype}.ld();
    const std::int64_t row = kRowBytes / element_bytes(dtype);
    return Shape{ceil_div(elements, row), row, dtype};
  };
  std::vector<Shape> shapes{chunk_shape(DType::kF32),
                            {1, cut.chunk},
                            {1, 4 * cut.chunk},
                            {1, sizes.positions},
                            {1, std::max<std::int64_t>(sum_partials({1, sizes.positions}), 1)}};
  if (!sizes.gradient) return shapes;
  shapes.push_back(sizes.half_gradient() ? chunk_shape(sizes.dtype) : Shape{1, 1});
  const Products products = products_of(sizes, profile, variant);
  std::int64_t rows = 0;
  if (products.d_h_split.count > 1) rows = products.d_h_split.count * cut.chunk;
  if (products.d_weight_split.count > 1) rows = std::max(rows, products.d_weight_split.count * cut.columns);
  if (rows > 0) shapes.push_back({rows, sizes.hidden});
  return shapes;
}

class Lowering {
 public:
  explicit Lowering(LowerCall& call)
      : call_(call), sizes_(sizes_of(call)), cut_(cut_of(sizes_, call.profile(), call.variant())) {
    if (sizes_.gradient) products_ = products_of(sizes_, call.profile(), call.variant());
  }

  void run() {
    const bool texel = call_.variant() == kMatmulShuffle;
    const std::int64_t position_rows =
        texel ? std::min(cut_.chunk, texel_rows(call_.in(kH), call_.profile())) : cut_.chunk;
    const std::vector<RowBlock> chunks = sizes_.gradient
                                             ? call_.row_blocks({call_.input(kH), call_.output(kDH)}, position_rows)
                                             : call_.row_blocks({call_.input(kH)}, position_rows);
    blocks_ = sizes_.gradient ? call_.row_blocks({call_.input(kWeight), call_.output(kDWeight)}, cut_.columns)
                              : call_.row_blocks({call_.input(kWeight)}, cut_.columns);
    // Chunks without a label that counts are left out, but for the first, which also gives the sums their start.
    if (sizes_.gradient && call_.has_input(kCount)) call_.clear(call_.output(kDH));
    for (const RowBlock& chunk : chunks) {
      for (const RowBlock& block : blocks_) logits(chunk, block);
      for (const RowBlock& block : blocks_) label_logits(chunk, block);
      for (const RowBlock& block : blocks_) losses(chunk, block);
      if (!sizes_.gradient) continue;
      for (const RowBlock& block : blocks_) gradients(chunk, block);
    }
    const Value scale = sizes_.gradient ? call_.input(kScale) : Value{};
    lower_sum(call_, call_.output(kLoss), {1, sizes_.positions}, call_.output(kMean), call_.scratch(kPartials),
              scale ? "mean_loss" : "sum_all", scale);
  }

 private:
  static std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }

  Window h(const RowBlock& chunk) const { return {call_.input(kH), chunk.begin, chunk.end}; }
  Window weight(const RowBlock& block) const { return {call_.input(kWeight), block.begin, block.end}; }
  /// Blocks begin at multiples of kBlockColumns, so that every block begins on a row of the scratch value.
  static Window block_of(Value scratch, DType dtype, const RowBlock& chunk, const RowBlock& block) {
    const std::int64_t row = kRowBytes / element_bytes(dtype), begin = chunk.size() * block.begin / row;
    const std::int64_t elements = chunk.size() * Shape{1, block.size(), dtype}.ld();
    return {scratch, begin, begin + ceil_div(elements, row)};
  }
  Window logits_of(const RowBlock& chunk, const RowBlock& block) const {
    return block_of(call_.scratch(kLogits), DType::kF32, chunk, block);
  }
  static std::int64_t ld(const RowBlock& block) { return Shape{1, block.size()}.ld(); }
  /// The logits' gradients: in their place, or in 16 bits beside them.
  Window d_logits_of(const RowBlock& chunk, const RowBlock& block) const {
    return block_of(call_.scratch(sizes_.half_gradient() ? kDLogits : kLogits), sizes_.dtype, chunk, block);
  }
  std::int64_t d_ld(const RowBlock& block) const { return Shape{1, block.size(), sizes_.dtype}.ld(); }

  bool gated() const { return call_.has_input(kCount); }
  Window gate() const { return gated() ? call_.input(kCount) : call_.input(kLabels); }  // the latter unread
  std::uint32_t gate_from(const RowBlock& chunk) const { return gated() ? u32(chunk.begin) : 0; }
  void set_gate(MatmulProduct& product, const RowBlock& chunk) const {
    if (gate_from(chunk) == 0) return;
    product.gate = call_.input(kCount);
    product.gate_from = chunk.begin;
  }
  RowLanes lanes(std::int64_t columns, std::int64_t rows) const {
    return row_lanes(columns, row_variants({rows, columns}, call_.profile()).front());
  }

  void logits(const RowBlock& chunk, const RowBlock& block) {
    MatmulProduct product{.size = {MatmulLayout::kNT, chunk.size(), block.size(), sizes_.hidden},
                          .a = h(chunk),
                          .b = weight(block),
                          .y = logits_of(chunk, block),
                          .a_ld = call_.in(kH).ld(),
                          .b_ld = call_.in(kWeight).ld(),
                          .y_ld = ld(block),
                          .bias_column = block.begin};
    if (sizes_.bias) product.bias = Window(call_.input(kBias));
    set_gate(product, chunk);
    launch_matmul(call_, kernel_of(product.size, call_.profile(), call_.variant(), sizes_.dtype), product);
  }

  void label_logits(const RowBlock& chunk, const RowBlock& block) {
    const struct {
      std::uint32_t rows, first_row, first_column, columns;
    } push{u32(chunk.size()), u32(chunk.begin), u32(block.begin), u32(block.size())};
    call_.dispatch(Launch{.shader = "fused_cross_entropy_label",
                          .bindings = {logits_of(chunk, block), call_.input(kLabels), call_.scratch(kLabelLogit)},
                          .groups = LowerCall::grid((chunk.size() + 63) / 64)},
                   push);
  }

  void losses(const RowBlock& chunk, const RowBlock& block) {
    const RowLanes row_lanes = lanes(block.size(), chunk.size());
    const struct {
      std::uint32_t rows, first_row, positions, first_column, columns, vocabulary;
    } push{u32(chunk.size()), u32(chunk.begin),  u32(sizes_.positions),
           u32(block.begin),  u32(block.size()), u32(sizes_.vocabulary)};
    call_.dispatch(Launch{.shader = "fused_cross_entropy",
                          .constants = row_lanes.constants(),
                          .bindings = {logits_of(chunk, block), call_.input(kLabels), call_.scratch(kLabelLogit),
                                       call_.scratch(kStats), call_.output(kLoss), call_.scratch(kLogSumExp),
                                       call_.output(kCorrect)},
                          .groups = row_lanes.groups(chunk.size())},
                   push);
  }

  void gradients(const RowBlock& chunk, const RowBlock& block) {
    const RowLanes row_lanes = lanes(block.size(), chunk.size());
    const struct {
      std::uint32_t rows, first_row, first_column, columns, gate_from;
    } push{u32(chunk.size()), u32(chunk.begin), u32(block.begin), u32(block.size()), gate_from(chunk)};
    call_.dispatch(Launch{.shader = "fused_cross_entropy_gradient",
                          .constants = row_lanes.constants(),
                          .bindings = {logits_of(chunk, block), call_.input(kLabels), call_.scratch(kLogSumExp),
                                       call_.input(kScale), gate(), d_logits_of(chunk, block)},
                          .groups = row_lanes.groups(chunk.size())},
                   push);
    MatmulProduct d_h{.size = {MatmulLayout::kNN, chunk.size(), sizes_.hidden, block.size()},
                      .a = d_logits_of(chunk, block),
                      .b = weight(block),
                      .y = {call_.output(kDH), chunk.begin, chunk.end},
                      .a_ld = d_ld(block),
                      .b_ld = call_.in(kWeight).ld(),
                      .y_ld = call_.out(kDH).ld()};
    if (block.begin > 0) d_h.residual = d_h.y;
    set_gate(d_h, chunk);
    launch_matmul(call_, products_.d_h_kernel, d_h, products_.d_h_split, pieces(products_.d_h_split));
    MatmulProduct d_weight{.size = {MatmulLayout::kTN, block.size(), sizes_.hidden, chunk.size()},
                           .a = d_logits_of(chunk, block),
                           .b = h(chunk),
                           .y = {call_.output(kDWeight), block.begin, block.end},
                           .a_ld = d_ld(block),
                           .b_ld = call_.in(kH).ld(),
                           .y_ld = call_.out(kDWeight).ld()};
    if (chunk.begin > 0) d_weight.residual = d_weight.y;
    set_gate(d_weight, chunk);
    launch_matmul(call_, products_.d_weight_kernel, d_weight, products_.d_weight_split,
                  pieces(products_.d_weight_split));
    if (sizes_.bias) bias_gradient(chunk, block);
  }

  Value pieces(const MatmulSplit& split) const { return split.count > 1 ? call_.scratch(kPieces) : Value{}; }

  void bias_gradient(const RowBlock& chunk, const RowBlock& block) {
    const struct {
      std::uint32_t rows, columns, column4, add, gate_from;
    } push{u32(chunk.size()), u32(block.size()), u32(block.begin / 4), chunk.begin > 0, gate_from(chunk)};
    call_.dispatch(Launch{.shader = "fused_cross_entropy_bias",
                          .bindings = {d_logits_of(chunk, block), call_.output(kDBias), gate()},
                          .groups = LowerCall::grid((ld(block) / 4 + 15) / 16)},
                   push);
  }

  LowerCall& call_;
  Sizes sizes_;
  Cut cut_;
  Products products_;
  std::vector<RowBlock> blocks_;
};

void infer(InferCall& call) {
  const Shape h = call.in(kH), weight = call.in(kWeight), row{1, h.rows};
  call.require(h.cols == weight.cols && h.dtype == weight.dtype, "h and weight have the same columns and type");
  call.require(h.cols <= kMatmulMaxDepth, fmt::format("at most {} columns", kMatmulMaxDepth));
  call.require(call.in(kLabels) == row && call.dtype(kLabels) == DType::kU32, "labels is [1, rows of h], u32");
  if (call.has_input(kBias)) call.require(call.in(kBias) == Shape{1, weight.rows}, "bias is [1, rows of weight]");
  if (call.has_input(kCount))
    call.require(call.in(kCount) == Shape{1, 1} && call.dtype(kCount) == DType::kU32, "count is [1, 1], u32");
  call.output({1, 1});
  call.output(row);
  call.output(row);
  if (!call.has_input(kScale)) return;
  call.require(call.in(kScale) == Shape{1, 4}, "scale is [1, 4]");
  call.output(h);
  call.output(weight, DType::kF32);
  if (call.has_input(kBias)) call.output({1, weight.rows});
}

void grad(GradCall& call) {
  hand_over_mean_gradients(call, "fused_cross_entropy", kScale, {{kH, kDH}, {kWeight, kDWeight}, {kBias, kDBias}});
}

std::vector<std::string> variants(const NodeView& node, const vk::DeviceProfile& profile) {
  const Sizes sizes = sizes_of(node);
  // Texel views hold a chunk of 64 positions by 64 tokens everywhere; h and weight are read in row blocks.
  const bool shuffle_fits = !is_half(sizes.dtype) && matmul_shuffle_lanes(profile) > 0 &&
                            texel_rows(node.in(kH), profile) > 0 && texel_rows(node.in(kWeight), profile) > 0;
  return matmul_variants({MatmulLayout::kNT, sizes.positions, sizes.vocabulary, sizes.hidden}, shuffle_fits, profile,
                         sizes.dtype);
}

}  // namespace

extern const OpDef fused_cross_entropy;
const OpDef fused_cross_entropy{
    .name = "fused_cross_entropy",
    .formula =
        "mean = scale[0] * sum of loss; loss[n] = log(sum_v exp(z[n, v])) - z[n, labels[n]], z = h weight^T (+ bias), "
        "never whole in memory; with scale also the mean's gradients; labels from count on are all ignored",
    .inputs = {"h", "weight", "labels", "bias?", "scale?", "count?"},
    .infer = infer,
    .lower = [](LowerCall& call) { Lowering(call).run(); },
    .grad = grad,
    .cost =
        [](const NodeView& node) {
          const Sizes sizes = sizes_of(node);
          const double logits = double(sizes.positions) * double(sizes.vocabulary);
          return Cost{.flops = (sizes.gradient ? 6.0 : 2.0) * logits * double(sizes.hidden),
                      .bytes = double((sizes.gradient ? 3 : 1) * (node.in(kH).bytes() + node.in(kWeight).bytes())) +
                               (sizes.gradient ? 24.0 : 8.0) * logits};
        },
    .variants = variants,
    .scratch = scratch,
    .half = {"h", "weight"},
    .half_inner = 2,  // the logits' gradients; their sums cancel to about half
};

}  // namespace fabula::ops
