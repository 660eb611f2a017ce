#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/ceil_div.hpp"
#include "graph/sized_case.hpp"
#include "ops/registers.hpp"
#include "ops/storage.hpp"
#include "ops/stored_table.hpp"
#include "ops/texel.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

enum RowInput : std::size_t { kX, kWeight, kScales, kBias, kResidual, kNormWeight, kNormBias, kPlaces };
enum RowNorm : std::int64_t { kNoNorm, kLayerNorm, kRmsNorm };

constexpr std::uint32_t kRowLocal = 128;      ///< invocations of a workgroup
constexpr std::uint32_t kLeastLanes = 4;      ///< of a subgroup that adds up sums
constexpr std::uint32_t kManyTexelRows = 16;  ///< of a workgroup of the texel kernel, where there are as many

RowNorm norm_of(const Attrs& attrs) {
  return static_cast<RowNorm>(attrs.integer_or("norm", kNoNorm));
}
bool along_k(const Attrs& attrs) {
  return attrs.integer_or("transpose_b", 0) != 0;
}

void infer(InferCall& call) {
  const Shape x = call.in(kX), weight = call.in(kWeight);
  const bool nt = along_k(call.attrs());
  const std::int64_t n = nt ? weight.rows : weight.cols;
  call.require((nt ? weight.cols : weight.rows) == x.cols, "x and a weight that agree in K");
  require_stored_table(call, kWeight, kScales);
  call.require(nt || !is_scaled(call.dtype(kWeight)), "a weight [N,K] where it is of few bits");
  const Shape y{x.rows, n, storage_type(call.attrs(), call.dtype(kX))};
  const auto row = [&](std::size_t i, std::int64_t cols, const char* what) {
    if (call.has_input(i)) call.require(call.in(i) == Shape{1, cols} && call.dtype(i) == DType::kF32, what);
  };
  row(kBias, n, "a bias [1,N] of fp32");
  if (call.has_input(kResidual))
    call.require(call.in(kResidual) == y && call.dtype(kResidual) == y.dtype, "a residual [R,N] of y's type");
  const RowNorm norm = norm_of(call.attrs());
  call.require(norm >= kNoNorm && norm <= kRmsNorm, "a norm of 0, 1 (layer norm) or 2 (RMS norm)");
  call.require((norm != kNoNorm) == call.has_input(kNormWeight), "a norm's weight with a norm, and there alone");
  call.require(norm != kNoNorm || !call.has_input(kNormBias), "a norm's bias with a norm alone");
  call.require(norm == kNoNorm || !call.has_input(kResidual), "a norm or a residual, not both");
  row(kNormWeight, x.cols, "a norm's weight [1,K] of fp32");
  row(kNormBias, x.cols, "a norm's bias [1,K] of fp32");
  if (call.has_input(kPlaces))
    call.require(call.in(kPlaces) == Shape{1, 4 * x.rows} && call.dtype(kPlaces) == DType::kU32, "places [1, 4 R]");
  call.output(y);
}

struct Push {
  std::uint32_t rows, cols, depth, x_columns, y_columns, first_k4, first_col4;
  std::uint32_t has_bias, has_residual, has_norm_bias, has_places, continues, ends;
  float eps;
};

/// How a matrix is cut into workgroups. Depends on it and the device alone, so that a row's sums do; turns and rows
/// alone depend on how many rows there are.
struct RowCut {
  std::uint32_t local = kRowLocal;  ///< invocations of a workgroup
  std::uint32_t columns = 1;        ///< that they stand in: of 4 rows of w [N,K], or of 16 bytes of rows of w [K,N]
  std::uint32_t held = 1;           ///< steps of K whose weights an invocation reads at once
  std::uint32_t subgroup_size = 0;  ///< 0: sums go through shared memory alone
  std::uint32_t rows = 1;           ///< of x and y that a workgroup takes
  std::uint32_t turns = 1;          ///< columns that it goes through one after the other
  std::uint32_t kept = 0;           ///< steps of x, all, that an invocation keeps meanwhile; 0: it reads them again
  std::uint32_t parts() const { return local / columns; }
  /// Sums of a column that subgroups leave to be added up.
  std::uint32_t shares(bool nt) const {
    if (subgroup_size == 0) return 1;
    return nt ? std::max(parts() / subgroup_size, 1u) : local / subgroup_size;
  }
};

/// vec4s in 16 bytes of a matrix.
std::int64_t vec4s_of(const Shape& weight) {
  return 32 / element_bits(weight.dtype);
}

/// Invocations of a large GPU's workgroup: it reads a matrix as quickly as memory allows if nearly all of it is under
/// way at once.
std::uint32_t large_local(std::uint32_t columns, std::int64_t steps, const vk::DeviceProfile& profile) {
  const vk::Limits& limits = profile.limits;
  const std::uint32_t most = std::min({512u, limits.max_invocations, limits.max_workgroup_size[0]});
  std::uint32_t local = kRowLocal;
  while (2 * local <= most && local / columns < steps && shuffling_size(profile, kLeastLanes, 2 * local) > 0)
    local *= 2;
  return local;
}

RowCut row_cut(const NodeView& node, bool subgroup, const vk::DeviceProfile& profile) {
  constexpr std::uint32_t kMostColumns = 32, kLeastParts = 8;
  constexpr std::int64_t kFilling = 1 << 16;  // invocations
  const Shape weight = node.in(kWeight);
  const bool nt = along_k(node.attrs());
  const std::int64_t vec4s = vec4s_of(weight), steps = ceil_div(nt ? weight.cols : weight.rows, nt ? 4 * vec4s : 4);
  const std::int64_t all_columns = ceil_div(nt ? weight.rows : weight.cols, nt ? 4 : 4 * vec4s);
  RowCut cut;
  // Rows of w [K,N] are read 32 bytes at a time at least, and 64 where there still are workgroups enough.
  if (!nt) cut.columns = all_columns >= 1024 ? 4 : 2;
  if (subgroup && !nt && is_large_gpu(profile)) cut.local = large_local(cut.columns, steps, profile);
  // Where columns fill a large device, few lanes share one: they add up more themselves, and less among them.
  if (subgroup && nt && is_large_gpu(profile))
    while (cut.columns < kMostColumns && cut.parts() > kLeastParts && all_columns * cut.parts() / 2 >= kFilling)
      cut.columns *= 2;
  // Of a short K more columns: no invocation is to be idle.
  while (cut.columns < kMostColumns && cut.parts() > steps) cut.columns *= 2;
  if (subgroup) cut.subgroup_size = shuffling_size(profile, kLeastLanes, cut.local);
  if (subgroup && !nt) cut.columns = std::min(cut.columns, cut.subgroup_size);
  cut.held = 2 * cut.parts() <= steps ? 2 : 1;

  const std::int64_t sums = nt ? 1 : vec4s;  // vec4s that an invocation adds up for a row
  // An invocation holds x of a step for each: 8 vec4s at most, or small register files overflow. A large GPU, which has
  // room for more workgroups, is quicker with 4 of fp32.
  const std::int64_t held_x = subgroup && vec4s == 1 && is_large_gpu(profile) ? 4 : 8;
  const auto most_rows = static_cast<std::uint32_t>(held_x / (nt ? vec4s : 1));
  cut.rows = std::min(std::bit_ceil(static_cast<std::uint32_t>(node.in(kX).rows)), most_rows);
  const std::uint64_t row_bytes =
      16ull * cut.shares(nt) * cut.columns * sums + 8;  // of shared memory: sums, statistics
  while (cut.rows > 1 && row_bytes * cut.rows > shared_memory(profile)) cut.rows /= 2;

  // The columns beside need the same statistics and the same x, which is kept where that is little.
  constexpr std::int64_t kMostKept = 8, kEnough = 1 << 17, kMostTurns = 8;  // vec4s; invocations
  const std::int64_t groups = ceil_div<std::int64_t>(node.in(kX).rows, cut.rows) * all_columns / cut.columns;
  const std::int64_t kept = ceil_div<std::int64_t>(steps, cut.parts());
  cut.turns = static_cast<std::uint32_t>(std::clamp<std::int64_t>(groups * cut.local / kEnough, 1, kMostTurns));
  if (cut.turns > 1 && kept * (nt ? vec4s : 1) * cut.rows <= kMostKept) cut.kept = static_cast<std::uint32_t>(kept);
  return cut;
}

/// Bytes and scales are cut alike: a row of the weight is a row of both.
std::vector<RowBlock> weight_blocks(const LowerCall& call, std::int64_t most_rows = -1) {
  if (!call.has_input(kScales)) return call.row_blocks({call.input(kWeight)}, most_rows);
  return call.row_blocks({call.input(kWeight), call.input(kScales)}, most_rows);
}

/// The texel kernel reads and writes fp32, and a weight of any type, [K,N] in one piece.
std::uint32_t texel_lanes(const NodeView& node, const vk::DeviceProfile& profile) {
  constexpr std::uint32_t kLeast = 4, kMost = 32;
  if (texel_rows(node.in(kWeight), profile) <= 0) return 0;
  for (const std::size_t i : {kX, kResidual})
    if (node.has_input(i) && texel_rows(node.in(i), profile) < node.in(i).rows) return 0;
  const bool floats = node.in(kX).dtype == DType::kF32 && node.out().dtype == DType::kF32;
  const bool wide_scales = node.has_input(kScales) && !is_half(node.in(kScales).dtype);
  const Shape weight = node.in(kWeight);
  const bool whole = weight.rows <= texel_rows(weight, profile) &&
                     static_cast<std::uint64_t>(weight.bytes()) <= profile.limits.max_storage_range;
  if (!profile.features.texel_float4 || !floats || wide_scales || !(whole || along_k(node.attrs()))) return 0;
  return shuffling_size(profile, kLeast, kMost);
}

void lower_texel(LowerCall& call) {
  const Shape x = call.in(kX), weight = call.in(kWeight), y = call.out();
  const bool nt = along_k(call.attrs());
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  const std::uint32_t lanes = texel_lanes(call, call.profile()), norm = u32(norm_of(call.attrs()));
  // What a lane does in a step is code: no more of it than drivers compile in a second.
  const std::int64_t vec4s = vec4s_of(weight);
  // A weight is fetched for all rows of a workgroup at once, and a fetch takes as long as the sums of several rows.
  const bool many_rows = x.rows >= std::int64_t{kManyTexelRows} && vec4s == 1;
  const std::uint32_t most_rows = vec4s > 4 ? 2 : 4;
  const std::uint32_t rows = many_rows ? kManyTexelRows : std::min(std::bit_ceil(u32(x.rows)), most_rows),
                      columns = y.cols >= 512 && vec4s == 1 && !many_rows ? 2 : 1;
  const std::uint32_t beside =
      (call.has_input(kBias) ? 1 : 0) | (call.has_input(kResidual) ? 2 : 0) | (call.has_input(kNormBias) ? 4 : 0);
  const auto given = [&](std::size_t i) { return call.has_input(i) ? call.input(i) : call.input(kX); };
  for (const RowBlock& block : weight_blocks(call, texel_rows(weight, call.profile()))) {
    const std::int64_t cols = nt ? block.size() : y.cols,
                       group_vec4s = std::int64_t{lanes} * columns * (nt ? 1 : vec4s);
    const std::int64_t groups = ceil_div(cols, 4 * group_vec4s);
    call.dispatch(
        {.shader = nt ? "row_product_texel_nt" : "row_product_texel_nn",
         .constants = {lanes, columns, rows, norm, u32(call.attrs().integer_or("activation", 0)), beside,
                       static_cast<std::uint32_t>(table_scales(call, kWeight, kScales))},
         .subgroup_size = lanes,
         .bindings = {call.output(),
                      call.input(kX),
                      {call.input(kWeight), block.begin, block.end},
                      given(kBias),
                      call.has_input(kResidual) ? call.input(kResidual) : given(kNormWeight),
                      given(kNormBias),
                      call.has_input(kScales) ? Window(call.input(kScales), block.begin, block.end) : call.input(kX),
                      given(kPlaces)},
         .groups = LowerCall::grid(groups * ceil_div<std::int64_t>(x.rows, rows))},
        std::array<std::uint32_t, 7>{
            u32(x.rows), u32(cols), u32(x.cols), call.has_input(kPlaces), u32(y.ld() / 4),
            nt ? u32(block.begin / 4) : 0,
            std::bit_cast<std::uint32_t>(static_cast<float>(norm == kNoNorm ? 0 : call.attrs().get("eps")))});
  }
}

void lower(LowerCall& call) {
  if (call.variant() == "texel") return lower_texel(call);
  const Shape x = call.in(kX), weight = call.in(kWeight), y = call.out();
  const bool nt = along_k(call.attrs()), subgroup = call.variant() == "subgroup";
  const RowNorm norm = norm_of(call.attrs());
  const auto u32 = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
  const RowCut cut = row_cut(call, subgroup, call.profile());
  const std::int64_t group_vec4s = cut.turns * cut.columns * (nt ? 1 : vec4s_of(weight));
  const auto given = [&](std::size_t i) { return call.has_input(i) ? call.input(i) : call.input(kX); };
  Launch launch{.shader = nt ? "row_product_nt" : "row_product_nn",
                .constants = {cut.local, cut.columns, cut.rows, static_cast<std::uint32_t>(norm),
                              u32(call.attrs().integer_or("activation", 0)),
                              static_cast<std::uint32_t>(table_scales(call, kWeight, kScales)), cut.shares(nt),
                              cut.held, cut.turns, cut.kept},
                .subgroup_size = cut.subgroup_size};
  if (subgroup) launch.shader += "_subgroup";
  for (const RowBlock& block : weight_blocks(call)) {
    const bool first = block.begin == 0, last = block.end == weight.rows;
    const std::int64_t cols = nt ? block.size() : y.cols, depth = nt ? x.cols : block.size();
    // What lies behind a block's last column belongs to the next block, which writes its padding as well.
    const std::int64_t groups = ceil_div<std::int64_t>(Shape{1, cols, y.dtype}.ld() / 4, group_vec4s);
    launch.bindings = {call.output(),
                       call.input(kX),
                       {call.input(kWeight), block.begin, block.end},
                       call.has_input(kScales) ? Window(call.input(kScales), block.begin, block.end) : call.input(kX),
                       given(kBias),
                       call.has_input(kResidual) ? call.input(kResidual) : given(kNormWeight),
                       given(kNormBias),
                       given(kPlaces)};
    launch.groups = LowerCall::grid(groups * ceil_div<std::int64_t>(x.rows, cut.rows));
    call.dispatch(launch, Push{.rows = u32(x.rows),
                               .cols = u32(cols),
                               .depth = u32(depth),
                               .x_columns = u32(x.cols),
                               .y_columns = u32(y.cols),
                               .first_k4 = nt ? 0 : u32(block.begin / 4),
                               .first_col4 = nt ? u32(block.begin / 4) : 0,
                               .has_bias = call.has_input(kBias),
                               .has_residual = call.has_input(kResidual),
                               .has_norm_bias = call.has_input(kNormBias),
                               .has_places = call.has_input(kPlaces),
                               .continues = !nt && !first,
                               .ends = nt || last,
                               .eps = static_cast<float>(norm == kNoNorm ? 0 : call.attrs().get("eps"))});
  }
}

std::optional<SizedCase> sized(const NodeView& node, std::int64_t rows) {
  SizedCase sized{.launch = case_of(node)};
  const bool nt = along_k(node.attrs());
  const std::int64_t R = std::min(node.in(kX).rows, rows), K = node.in(kX).cols, N = node.out().cols;
  const std::int64_t scales = node.has_input(kScales) ? node.in(kScales).cols : 1;
  const auto shapes = [&](std::int64_t r, std::int64_t n) {
    return std::array<Shape, 8>{Shape{r, K},      nt ? Shape{n, K} : Shape{K, n},
                                Shape{n, scales}, Shape{1, n},
                                Shape{r, n},      Shape{1, K},
                                Shape{1, K},      Shape{1, 4 * r}};
  };
  const auto launch = shapes(R, N), tiles = shapes(std::min(R, kTileRows), std::min(N, kTileColumns));
  for (std::size_t i = 0; i < sized.launch.inputs.size(); ++i) {
    OpCase::Input& input = sized.launch.inputs[i];
    if (input.present) input.shape = launch.at(i);
    sized.tiles.push_back(input.present ? tiles.at(i) : input.shape);
  }
  sized.launch.relative *= std::max(1.0, std::sqrt(static_cast<double>(K) / 256));  // as a product's of many rows
  return sized;
}

}  // namespace

extern const OpDef row_product;
const OpDef row_product{
    .name = "row_product",
    .formula =
        "y[R,N] = activation(norm(x) w + bias) + residual, zero in rows whose place is not live; w [K,N], or "
        "[N,K] with transpose_b; few bits times the scale of their group of 32 (expand)",
    .inputs = {"x", "weight", "scales?", "bias?", "residual?", "norm_weight?", "norm_bias?", "places?"},
    .attrs = {"transpose_b", "activation", "norm", "eps", "out"},
    .infer = infer,
    .lower = lower,
    .cost =
        [](const NodeView& node) {
          const Shape weight = node.in(kWeight);
          const double scales = node.has_input(kScales) ? double(node.in(kScales).bytes()) : 0;
          return Cost{
              .flops = 2.0 * double(node.in(kX).rows) * double(weight.count()),
              .bytes = double(weight.bytes()) + scales + double(node.in(kX).bytes()) + double(node.out().bytes())};
        },
    .variants =
        [](const NodeView& node, const vk::DeviceProfile& profile) {
          const bool software = profile.device_class == vk::DeviceClass::kSoftware;
          std::vector<std::string> variants{"baseline"};
          if (shuffling_size(profile, kLeastLanes, kRowLocal) > 0)
            variants.insert(software ? variants.end() : variants.begin(), "subgroup");
          if (software && texel_lanes(node, profile) > 0) variants.insert(variants.begin(), "texel");
          return variants;
        },
    .sized = sized,
};

}  // namespace fabula::ops
