#include <algorithm>
#include <bit>
#include <cmath>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "graph/memory_plan.hpp"
#include "graph/sized_case.hpp"
#include "ops/attention.hpp"
#include "ops/texel.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

std::uint32_t word(std::int64_t v) {
  return static_cast<std::uint32_t>(v);
}

/// Inputs: q, k and v (or q alone, fused), the cache, places and angles.
constexpr std::size_t kCache = 3, kPlaces = 4, kAngles = 5;

struct CachedShape {
  std::int64_t rows = 0, run = 0;  ///< all; those of consecutive positions
  std::int64_t heads = 0, kv_heads = 0, head_size = 0;
  std::int64_t slots = 0, capacity = 0;
  std::int64_t window = 0;     ///< keys that a row sees at most
  std::int64_t positions = 0;  ///< the first that a slot cannot hold
  bool fused = false, rotated = false;
  DType dtype = DType::kF32, cache = DType::kF32;  ///< of q; of what is cached
  float scale = 1;
  /// Whether runs are long enough for kernels that take many rows of one.
  bool is_chunk() const { return run >= 8; }
  std::int64_t width() const { return heads * head_size; }
  std::int64_t kv_width() const { return kv_heads * head_size; }
};

CachedShape shape_from(const Attrs& attrs, const Shape& q, const Shape& cache, bool fused, bool rotated) {
  CachedShape shape;
  shape.rows = q.rows;
  shape.run = q.rows / std::max<std::int64_t>(attrs.integer("batch"), 1);
  shape.heads = std::max<std::int64_t>(attrs.integer("heads"), 1);
  shape.kv_heads = std::max<std::int64_t>(attrs.integer_or("kv_heads", shape.heads), 1);
  shape.head_size = cache.cols / (2 * shape.kv_heads);
  shape.capacity = std::max<std::int64_t>(attrs.integer("capacity"), 1);
  shape.slots = cache.rows / shape.capacity;
  const std::int64_t window = attrs.integer_or("window", 0);
  const bool ring = window > 0 && shape.capacity >= window + shape.run;
  shape.window = window > 0 ? std::min(window, shape.capacity) : shape.capacity;
  shape.positions = ring ? INT32_MAX : shape.capacity;
  shape.fused = fused;
  shape.rotated = rotated;
  shape.dtype = q.dtype;
  shape.cache = cache.dtype;
  if (attrs.integer_or("scaled", 1))
    shape.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(shape.head_size)));
  return shape;
}

CachedShape cached_shape(const NodeView& node) {
  return shape_from(node.attrs(), node.in(0), node.in(kCache), !node.has_input(1), node.has_input(kAngles));
}

void infer(InferCall& call) {
  const bool fused = !call.has_input(1);
  const Shape q = call.in(0), cache = call.in(kCache);
  const Attrs& attrs = call.attrs();
  const CachedShape shape = shape_from(attrs, q, cache, fused, call.has_input(kAngles));
  call.require(call.has_input(1) == call.has_input(2), "k and v are given both or neither");
  call.require(attrs.integer("batch") > 0 && q.rows % attrs.integer("batch") == 0,
               "the rows are a multiple of the attribute batch");
  call.require(attrs.integer("heads") > 0 && shape.heads % shape.kv_heads == 0,
               "the attribute heads is a multiple of kv_heads");
  call.require(attrs.integer("capacity") > 0 && cache.rows % shape.capacity == 0,
               "the cache has a multiple of the attribute capacity of rows");
  call.require(cache.cols % (2 * shape.kv_heads) == 0, "the cache has 2 kv_heads head_size columns");
  call.require(!fused || shape.heads == shape.kv_heads, "a fused q, k, v has as many heads of each");
  call.require(q.cols == (fused ? 3 : 1) * shape.width(), "q has heads head_size columns, fused with k and v 3 times");
  const Shape kv{q.rows, shape.kv_width()};
  call.require(fused || (call.in(1) == kv && call.in(2) == kv), "k and v are [N, kv_heads head_size]");
  call.require(fused || (call.dtype(1) == q.dtype && call.dtype(2) == q.dtype), "q, k and v have one type");
  call.require(is_float(q.dtype) && is_float(cache.dtype), "q and the cache are floats");
  call.require(call.in(kPlaces) == Shape{1, 4 * q.rows} && call.dtype(kPlaces) == DType::kU32,
               "places are [1, 4 N] words");
  call.require(!shape.rotated || (call.in(kAngles).cols == shape.head_size && shape.head_size % 2 == 0 &&
                                  call.dtype(kAngles) == DType::kF32),
               "angles are [T, head_size] of fp32, and a head has an even number of columns");
  call.require(shape.head_size <= kMaxHeadSize, "a head has at most 128 columns");
  call.require(attrs.integer_or("window", 0) >= 0, "the attribute window is not negative");
  call.require(shape.window <= kMaxAttentionSpan, fmt::format("a row sees at most {} positions", kMaxAttentionSpan));
  call.output({q.rows, shape.width()}, q.dtype);
}

/// Push constants: shaders/include/cached_attention.glsl.
struct CachedPush {
  std::uint32_t first_row, rows, run, slots, slot_begin, slot_end, cache_begin, capacity, positions, window;
  std::uint32_t heads, kv_heads, q_ld, k_ld, k_column, v_ld, v_column, cache_ld, angles_ld, out_ld;
  std::uint32_t splits, span, groups;
  float scale;
};

/// Push constants of shaders/attention/cached_attention_merge.comp.
struct CachedMergePush {
  std::uint32_t first_row, rows, heads, splits, span, window, positions, slots, slot_begin, slot_end, out_ld;
};

/// A kernel and how it is cut.
struct CachedKernel {
  std::string shader;
  std::vector<std::uint32_t> constants;  ///< the first: invocations of a workgroup
  std::uint32_t subgroup_size = 0;
  std::int64_t run_groups = 0;        ///< workgroups that attend, a run, without splits
  std::int64_t splits = 1, span = 0;  ///< workgroups that share a row's keys, and positions of each
  bool merged = false;                ///< a second kernel adds the splits
  bool clears = false;                ///< y is to be zero before
  bool texel = false;
};

constexpr std::uint32_t kLocal = 128;
/// Invocations of a step's workgroup, and positions of its tiles: on a large GPU many, so that a row's keys are all
/// under way at once.
std::uint32_t row_local(const CachedShape& shape, const vk::DeviceProfile& profile) {
  constexpr std::uint32_t kMost = 512, kShared = 21 << 10;
  std::uint32_t local = kLocal;
  if (!is_large_gpu(profile) || shared_memory(profile) < kShared) return local;
  const std::uint32_t most = std::min({kMost, profile.limits.max_invocations, profile.limits.max_workgroup_size[0]});
  while (2 * local <= most && local < shape.window) local *= 2;
  return local;
}
constexpr std::int64_t kMostQueries = 4;  ///< heads that a workgroup of a step takes of those which share keys
constexpr std::size_t kLanes = 2;  ///< the constant of a chunk's kernel that says how many invocations share a row

std::int64_t texels_of(const vk::DeviceProfile& profile) {
  return static_cast<std::int64_t>(profile.limits.max_texel_elements);
}

/// Invocations of a subgroup that share a key, which is the more read at once.
std::uint32_t key_lanes(const CachedShape& shape, std::uint32_t local, const vk::DeviceProfile& profile) {
  constexpr std::uint32_t kMost = 8;
  std::uint32_t lanes = std::min(kMost, std::bit_floor(static_cast<std::uint32_t>(ceil_div(shape.head_size, 4l))));
  while (lanes > 1 && shuffling_size(profile, lanes, local) == 0) lanes /= 2;
  return lanes;
}

/// Positions that workgroups share: one row of a long text is to fill a machine. A row's number of splits follows from
/// what the cache holds, never from how many rows there are.
void cut_splits(const CachedShape& shape, CachedKernel& kernel, std::int64_t span) {
  constexpr std::int64_t kMostSplits = 32;
  kernel.span = std::max(span, round_up(ceil_div(shape.window, kMostSplits), std::int64_t{kernel.constants.front()}));
  kernel.splits = ceil_div(shape.window, kernel.span);
  if (kernel.splits > 1 && shape.positions > shape.window) kernel.splits += 1;  // a window begins anywhere in a span
}

/// For steps: a workgroup a row and some heads that share keys.
CachedKernel row_kernel(const CachedShape& shape, const vk::DeviceProfile& profile, bool subgroup) {
  CachedKernel kernel;
  constexpr std::int64_t kSpan = 512;
  const std::int64_t shared_by = shape.heads / shape.kv_heads, queries = std::min(shared_by, kMostQueries);
  const std::uint32_t local = row_local(shape, profile), lanes = subgroup ? key_lanes(shape, local, profile) : 1;
  if (subgroup) kernel.subgroup_size = shuffling_size(profile, lanes, local);
  kernel.constants = {local, word(shape.head_size), shape.rotated, word(queries), lanes};
  kernel.run_groups = shape.run * shape.kv_heads * ceil_div(shared_by, queries);
  cut_splits(shape, kernel, kSpan);
  // Heads of odd sizes share words; the second kernel writes whole words, and the padding.
  kernel.merged = kernel.splits > 1 || shape.head_size % 4 != 0;
  kernel.shader = subgroup ? "cached_attention_subgroup" : "cached_attention";
  if (kernel.merged) kernel.shader += "_split";
  return kernel;
}

/// The kernel that attention has for sequences as long as a run, with keys from two sources.
CachedKernel chunk_kernel(const CachedShape& shape, const vk::DeviceProfile& profile, bool subgroup) {
  AttentionShape of;
  of.positions = shape.run;
  of.heads = shape.heads;
  of.head_size = shape.head_size;
  of.dtype = shape.dtype;
  const AttentionKernel tile = attention_kernel(AttentionPass::kForward, subgroup ? "split" : "baseline", of, profile);
  CachedKernel kernel;
  kernel.shader = "cached_attention_chunk" + tile.shader.substr(std::string_view("attention").size());
  kernel.constants = tile.constants;
  kernel.constants.push_back(shape.rotated);
  kernel.subgroup_size = tile.subgroup_size;
  kernel.run_groups = shape.heads * ceil_div(shape.run, tile.rows_a_group);
  kernel.clears = is_half(shape.dtype) && (shape.width() % 8 != 0 || shape.head_size % 4 != 0);
  return kernel;
}

/// The kernels' workgroup is one subgroup, over whose lanes they unroll, so it must be small.
std::uint32_t cached_texel_lanes(const vk::DeviceProfile& profile) {
  constexpr std::uint32_t kLeast = 4, kMost = 8;
  return shuffling_size(profile, kLeast, kMost);
}

CachedKernel texel_kernel(const CachedShape& shape, const vk::DeviceProfile& profile) {
  CachedKernel kernel;
  const std::uint32_t lanes = cached_texel_lanes(profile);
  kernel.texel = true;
  kernel.subgroup_size = lanes;
  const std::uint32_t unit = is_half(shape.cache) && shape.head_size % 8 == 0 ? 2 : 1;  // vec4s in a texel
  kernel.constants = {lanes, word(shape.head_size), shape.rotated, unit};
  if (shape.is_chunk()) {
    constexpr std::int64_t kWords = 64;  // of q that a lane keeps: more are more code
    const std::int64_t held = std::clamp<std::int64_t>(kWords / shape.head_size, 1, 4);
    kernel.shader = "cached_attention_chunk_texel";
    kernel.constants.push_back(word(held));
    kernel.run_groups = shape.heads * ceil_div(shape.run, lanes * held);
  } else {
    const std::int64_t shared_by = shape.heads / shape.kv_heads, queries = std::min(shared_by, kMostQueries);
    kernel.shader = "cached_attention_texel";
    kernel.constants.push_back(word(queries));
    kernel.constants.push_back(std::min(lanes, std::bit_floor(word(shape.head_size) / (4 * unit))));
    kernel.run_groups = shape.run * shape.kv_heads * ceil_div(shared_by, queries);
  }
  return kernel;
}

CachedKernel kernel_for(std::string_view variant, const CachedShape& shape, const vk::DeviceProfile& profile) {
  if (variant == "texel") return texel_kernel(shape, profile);
  const bool subgroup = variant == "subgroup";
  return shape.is_chunk() ? chunk_kernel(shape, profile, subgroup) : row_kernel(shape, profile, subgroup);
}

/// Sums of all splits of `rows` rows, heads behind each other: maximum and sum in a vec4, then the head's.
Shape sums_shape(const CachedShape& shape, const CachedKernel& kernel, std::int64_t rows) {
  return {rows, shape.heads * kernel.splits * 4 * (ceil_div<std::int64_t>(shape.head_size, 4) + 1)};
}

/// Rows of a launch: as many as the sums of all their splits have room for.
std::int64_t rows_of_launch(const CachedShape& shape, const CachedKernel& kernel, const vk::DeviceProfile& profile) {
  constexpr std::uint64_t kMostBytes = 64ull << 20;
  if (!kernel.merged) return shape.rows;
  const std::uint64_t bytes = std::min({kMostBytes, profile.limits.max_storage_range, profile.limits.max_allocation});
  const auto rows = static_cast<std::int64_t>(bytes) / sums_shape(shape, kernel, 1).bytes();
  return std::clamp<std::int64_t>(rows, 1, shape.rows);
}

std::vector<Shape> scratch(const NodeView& node, const vk::DeviceProfile& profile, std::string_view variant) {
  const CachedShape shape = cached_shape(node);
  const CachedKernel kernel = kernel_for(variant, shape, profile);
  if (!kernel.merged) return {};
  return {sums_shape(shape, kernel, rows_of_launch(shape, kernel, profile))};
}

CachedPush push_of(const LowerCall& call, const CachedShape& shape, const CachedKernel& kernel) {
  CachedPush push{};
  push.run = word(shape.run);
  push.slots = word(shape.slots);
  push.capacity = word(shape.capacity);
  push.positions = word(shape.positions);
  push.window = word(shape.window);
  push.heads = word(shape.heads);
  push.kv_heads = word(shape.kv_heads);
  push.q_ld = push.k_ld = push.v_ld = word(call.in(0).ld());
  if (shape.fused) {
    push.k_column = word(shape.width());
    push.v_column = word(2 * shape.width());
  } else {
    push.k_ld = word(call.in(1).ld());
    push.v_ld = word(call.in(2).ld());
  }
  push.cache_ld = word(call.in(kCache).ld());
  if (shape.rotated) push.angles_ld = word(call.in(kAngles).ld());
  push.out_ld = word(call.out().ld());
  push.splits = word(kernel.splits);
  push.span = word(kernel.span);
  push.scale = shape.scale;
  return push;
}

void merge(LowerCall& call, const CachedShape& shape, const CachedPush& push) {
  const CachedMergePush merge_push{push.first_row, push.rows,  push.heads,      push.splits,   push.span,  push.window,
                                   push.positions, push.slots, push.slot_begin, push.slot_end, push.out_ld};
  call.dispatch({.shader = "cached_attention_merge",
                 .constants = {kLocal, word(shape.head_size)},
                 .bindings = {call.scratch(0), call.input(kPlaces), call.output()},
                 .groups = LowerCall::grid(ceil_div<std::int64_t>(push.rows * (push.out_ld / 4), kLocal))},
                merge_push);
}

/// Most rows of the cache that a launch binds; -1: as many as a storage range has.
std::int64_t most_cache_rows(const LowerCall& call, const CachedKernel& kernel) {
  if (!kernel.texel) return -1;
  return texels_of(call.profile()) / (call.in(kCache).row_bytes() / 16) - (kRowQuantum - 1);
}

void lower(LowerCall& call) {
  const CachedShape shape = cached_shape(call);
  const CachedKernel kernel = kernel_for(call.variant(), shape, call.profile());
  const Value q = call.input(0), cache = call.input(kCache), places = call.input(kPlaces);
  CachedPush push = push_of(call, shape, kernel);
  const std::int64_t rows = rows_of_launch(shape, kernel, call.profile());
  if (kernel.clears) call.clear(call.output());
  for (const RowBlock& block : call.row_blocks({cache}, most_cache_rows(call, kernel), shape.capacity)) {
    const std::int64_t begin = block.begin / kRowQuantum * kRowQuantum;  // an aligned one
    push.slot_begin = word(block.begin / shape.capacity);
    push.slot_end = word(block.end / shape.capacity);
    push.cache_begin = word(begin);
    for (std::int64_t first = 0; first < shape.rows; first += rows) {
      const std::int64_t count = std::min(rows, shape.rows - first);
      push.first_row = word(first);
      push.rows = word(count);
      push.groups = word(count * kernel.run_groups / shape.run * kernel.splits);
      const Window bound(cache, begin, block.end);
      Launch launch{
          .shader = kernel.shader,
          .constants = kernel.constants,
          .subgroup_size = kernel.subgroup_size,
          .bindings = {q, shape.fused ? q : call.input(1), shape.fused ? q : call.input(2), bound, places,
                       shape.rotated ? call.input(kAngles) : q, kernel.merged ? call.scratch(0) : call.output()},
          .groups = LowerCall::grid(push.groups + count)};
      if (kernel.texel) launch.bindings.push_back(bound);
      call.dispatch(launch, push);
      if (kernel.merged) merge(call, shape, push);
    }
  }
}

/// Of a full cache: how long the texts are is not known here.
Cost cost(const NodeView& node) {
  const CachedShape shape = cached_shape(node);
  const double rows = static_cast<double>(shape.rows), keys = static_cast<double>(shape.window);
  const double runs = rows / static_cast<double>(shape.run);
  double bytes =
      runs * keys * static_cast<double>(node.in(kCache).row_bytes()) + static_cast<double>(node.out().bytes());
  for (std::size_t i = 0; i < 3; ++i)
    if (node.has_input(i)) bytes += static_cast<double>(node.in(i).bytes());
  return {.flops = 4 * rows * keys * static_cast<double>(shape.width()), .bytes = bytes};
}

bool texel_can(const NodeView& node, const CachedShape& shape, const vk::DeviceProfile& profile) {
  if (!prefers_texels(profile) || cached_texel_lanes(profile) == 0 || shape.head_size % 4 != 0) return false;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    const bool is_cache = i == kCache;
    if (i == kPlaces || !node.has_input(i)) continue;
    const std::int64_t rows = is_cache ? shape.capacity + kRowQuantum : node.in(i).rows;
    if (rows * (node.in(i).row_bytes() / 16) > texels_of(profile)) return false;
  }
  return true;
}

std::vector<std::string> variants(const NodeView& node, const vk::DeviceProfile& profile) {
  const CachedShape shape = cached_shape(node);
  const bool software = profile.device_class == vk::DeviceClass::kSoftware;
  const bool can_shuffle = shape.is_chunk() ? shuffling_size(profile, 4, kLocal) > 0 &&
                                                  chunk_kernel(shape, profile, true).constants[kLanes] > 1
                                            : key_lanes(shape, row_local(shape, profile), profile) > 1;
  std::vector<std::string> list;
  if (texel_can(node, shape, profile)) list.emplace_back("texel");
  if (can_shuffle && !software) list.emplace_back("subgroup");
  list.emplace_back("baseline");
  if (can_shuffle && software && shape.head_size <= 64) list.emplace_back("subgroup");
  return list;
}

/// Rows of a step in slots of their own, or one run of a prompt behind a text of some tokens.
std::optional<SizedCase> sized(const NodeView& node, std::int64_t rows) {
  constexpr std::int64_t kMostSlots = 2, kTextLength = 37;
  const CachedShape shape = cached_shape(node);
  const std::int64_t slots = std::min(shape.slots, kMostSlots), run = std::min(shape.run, rows);
  const std::int64_t runs = run > 1 ? 1 : std::min(shape.rows, slots);
  const std::int64_t end = node.has_input(kAngles) ? std::min(shape.capacity, node.in(kAngles).rows) : shape.capacity;
  const std::int64_t first = std::clamp<std::int64_t>(end - run, 0, kTextLength);
  SizedCase sized{.launch = case_of(node)};
  OpCase& launch = sized.launch;
  launch.attrs.set("batch", static_cast<double>(runs));
  for (std::size_t i = 0; i < kCache; ++i)
    if (launch.inputs[i].present) launch.inputs[i].shape.rows = runs * run;
  launch.inputs[kCache].shape.rows = slots * shape.capacity;
  launch.inputs[kPlaces].shape = {1, 4 * runs * run};
  launch.fill = [=](std::vector<RefTensor<double>>& in, Philox&) {
    for (std::int64_t n = 0; n < runs * run; ++n) {
      std::uint32_t* const place = in[kPlaces].u.data() + 4 * n;
      place[0] = word(slots - 1 - n / run);
      place[1] = word(first + n % run);
      place[2] = 1;
    }
  };
  return sized;
}

}  // namespace

extern const OpDef cached_attention;
const OpDef cached_attention{
    .name = "cached_attention",
    .formula =
        "y_n = sum_j softmax_j(q_n k_j) v_j over positions j in (p_n - window, p_n] of row n's slot; cache[p_n] = k_n, "
        "v_n",
    .inputs = {"q", "k?", "v?", "cache", "places", "angles?"},
    .attrs = {"heads", "kv_heads", "batch", "capacity", "window", "scaled"},
    .infer = infer,
    .lower = lower,
    .cost = cost,
    .variants = variants,
    .scratch = scratch,
    .mutates = {kCache},
    .half = {"q", "k", "v"},
    .half_inner = 2,  // a key and a value rounded as the cache holds them,
    .sized = sized,
};

}  // namespace fabula::ops
