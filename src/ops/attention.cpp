#include "ops/attention.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/ceil_div.hpp"
#include "base/fail.hpp"
#include "graph/sized_case.hpp"
#include "ops/attention_coop.hpp"
#include "reference/attention.hpp"

namespace fabula::ops {
using namespace graph;

namespace {

/// Window starts are multiples of this many rows: at 16 bytes a row at least, every binding is then aligned.
constexpr std::int64_t kRowQuantum = 64;

AttentionShape shape_from(const Attrs& attrs, const Shape& q, bool fused) {
  AttentionShape shape;
  shape.sequences = attrs.integer("batch");
  shape.heads = attrs.integer("heads");
  shape.fused = fused;
  shape.dtype = q.dtype;
  shape.positions = q.rows / std::max<std::int64_t>(shape.sequences, 1);
  shape.head_size = (fused ? q.cols / 3 : q.cols) / std::max<std::int64_t>(shape.heads, 1);
  const std::int64_t window = attrs.integer_or("window", 0);
  shape.window = window == 0 ? shape.positions : std::min(window, shape.positions);
  shape.scale =
      attrs.integer_or("scaled", 1) ? static_cast<float>(1 / std::sqrt(static_cast<double>(shape.head_size))) : 1.0f;
  return shape;
}

/// The texel kernels' workgroup is one subgroup, over whose lanes they unroll, so it must be small.
std::uint32_t texel_lanes(const vk::DeviceProfile& profile) {
  constexpr std::uint32_t kLeast = 4, kMost = 8;
  return shuffling_size(profile, kLeast, kMost);
}

bool texel_fits(const AttentionShape& shape, const vk::DeviceProfile& profile) {
  if (!profile.features.texel_float4 || profile.device_class != vk::DeviceClass::kSoftware || shape.head_size % 4)
    return false;
  const auto row_texels = static_cast<std::uint64_t>((shape.fused ? 3 : 1) * shape.width() / 4);
  const auto rows = static_cast<std::uint64_t>(shape.positions + kRowQuantum);
  return texel_lanes(profile) > 0 && rows * row_texels <= profile.limits.max_texel_elements;
}

bool attention_block_fits(const AttentionShape& shape, const vk::DeviceProfile& profile, bool backward) {
  if (shape.head_size % 4) return false;
  const AttentionBlock block = attention_block(shape.head_size, backward, profile);
  if (block.local == 0) return false;
  return !backward || attention_parts(shape, block, profile).sequences > 0;
}

bool attention_coop_fits(const AttentionShape& shape, DType dtype, const vk::DeviceProfile& profile, bool backward) {
  if (attention_coop_form(profile, dtype) == CoopForm::kNone) return false;
  const AttentionBlock block = attention_coop_block(shape.head_size, backward, profile);
  return block.local > 0 && (!backward || attention_parts(shape, block, profile).sequences > 0);
}

/// Query or key rows that an invocation of a texel kernel keeps: more reuse a shuffle, but code and compile time grow
/// with them.
std::uint32_t texel_rows(std::int64_t head_size) {
  constexpr std::int64_t kWords = 64;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(kWords / head_size, 1, 4));
}

constexpr std::uint32_t kTileLocal = 128;  // invocations of a tile kernel's workgroup, fewer for short sequences
constexpr std::uint32_t kSplitLanes = 4;   // least subgroup that it shuffles in

/// What an invocation of a tile kernel takes: `lanes` of them share a row, and go through `step` rows at a time.
struct TileSize {
  std::uint32_t lanes = 1;
  std::int64_t step = 4;
};

/// Within 128 registers on AMD's 64 lanes and Intel's 8, as their compilers report; more of either spills, or leaves a
/// core with one wave. An invocation keeps 2, 3 or 4 rows of its part of the head, and the backward kernels also what
/// they read of each row of a step, to use it twice - unless a barrier lies between, as it does where sums of parts
/// pass through shared memory.
TileSize small_tile(AttentionPass pass, bool split, std::int64_t head_size) {
  // Heads of odd sizes are read word by word, which takes registers too. 8 lanes are what Intel's subgroups have.
  const bool odd = head_size % 4 != 0, forward = pass == AttentionPass::kForward;
  const std::int64_t most = forward ? (odd ? 4 : 8) : (odd ? 3 : 4);  // vec4s of the head
  constexpr std::uint32_t kMostLanes = 8;
  TileSize size;
  while (ceil_div<std::int64_t>(head_size, 4 * size.lanes) > most && size.lanes < kMostLanes) size.lanes *= 2;
  const std::int64_t part = ceil_div<std::int64_t>(head_size, 4 * size.lanes);
  const bool barrier_between = !split && size.lanes > 1;
  if (pass == AttentionPass::kBackwardQuery) size.step = barrier_between || part < most ? 4 : 2;
  if (pass == AttentionPass::kBackwardKey) size.step = part < 3 || (barrier_between && !(odd && part > 3)) ? 2 : 1;
  return size;
}

/// As measured on a Hopper GPU with heads of 16 to 128 words: one invocation a row is fastest until its registers spill
/// (the forward pass spills beyond 64, the backward kernels, which keep three or four rows, beyond 32); wide steps hide
/// latency and cost registers. Software drivers have faster kernels; there two lanes are taken so that a check covers
/// the exchange between them, and steps cost nothing but compile time.
TileSize large_tile(AttentionPass pass, bool split, std::int64_t head_size, bool software) {
  TileSize size;
  if (split && (software || head_size > (pass == AttentionPass::kForward ? 64 : 32))) size.lanes = 2;
  if (pass == AttentionPass::kBackwardKey && head_size > 32) size.step = 2;
  if (software) size.step = head_size <= 32 ? 2 : 1;
  return size;
}

TileSize tile_size(AttentionPass pass, bool split, std::int64_t head_size, const vk::DeviceProfile& profile) {
  if (!has_many_registers(profile)) return small_tile(pass, split, head_size);
  return large_tile(pass, split, head_size, profile.device_class == vk::DeviceClass::kSoftware);
}

/// Whether "split" has more than one invocation a row where it matters, and so is another kernel than "baseline".
bool shares_rows(const AttentionShape& shape, const vk::DeviceProfile& profile, bool backward) {
  if (has_many_registers(profile)) return shape.head_size > 32;
  const AttentionPass pass = backward ? AttentionPass::kBackwardKey : AttentionPass::kForward;
  return tile_size(pass, true, shape.head_size, profile).lanes > 1;
}

AttentionKernel tile_kernel(AttentionPass pass, bool split, const AttentionShape& shape,
                            const vk::DeviceProfile& profile) {
  auto [lanes, step] = tile_size(pass, split, shape.head_size, profile);
  AttentionKernel kernel;
  if (split) {
    const auto promised = [&] { return shuffling_size(profile, std::max(kSplitLanes, lanes), kTileLocal); };
    while (promised() == 0) lanes /= 2;  // the variant is there where kSplitLanes can be promised
    kernel.subgroup_size = promised();
  }
  // Shared memory: two tiles of padded head rows, 8 bytes of row statistics, and two rounds of the parts of one dot
  // product, in the backward kernels of two, with each row of a step.
  constexpr std::int64_t kMaxTile = 64, kSharedBytes = 16384;
  const std::int64_t most_bytes = std::min(kSharedBytes, static_cast<std::int64_t>(shared_memory(profile)));
  const std::int64_t row_bytes = 8 * round_up<std::int64_t>(shape.head_size, 4 * lanes) + 8;
  const std::int64_t step_bytes = !split && lanes > 1 ? (pass == AttentionPass::kForward ? 2 : 4) * kTileLocal * 4 : 0;
  while (step > 1 && step * (step_bytes + row_bytes) > most_bytes) step /= 2;
  const std::int64_t rows = std::min(kMaxTile, (most_bytes - step * step_bytes) / row_bytes);
  const std::int64_t tile = std::max(rows / step, std::int64_t{1}) * step;
  std::uint32_t local = kTileLocal;
  const std::uint32_t smallest = std::max(32u, kernel.subgroup_size);
  while (local / 2 >= smallest && local / 2 / lanes >= shape.positions) local /= 2;
  kernel.constants = {local, static_cast<std::uint32_t>(shape.head_size), lanes, static_cast<std::uint32_t>(tile),
                      static_cast<std::uint32_t>(step)};
  kernel.rows_a_group = local / lanes;
  return kernel;
}

/// Rows that can be bound of every one of the bindings at once.
std::int64_t bindable_rows(const std::vector<AttentionLaunch>& launches, std::uint64_t bytes) {
  std::int64_t rows = INT64_MAX;
  for (const AttentionLaunch& launch : launches)
    for (const AttentionBinding& binding : launch.bindings) {
      const auto row = static_cast<std::uint64_t>(binding.shape.row_bytes());
      if (!binding.whole) rows = std::min(rows, static_cast<std::int64_t>(bytes / row));
    }
  return rows;
}

/// Sequences that one launch can bind.
std::int64_t bindable_sequences(LowerCall& call, const std::vector<AttentionLaunch>& launches) {
  const AttentionShape shape = attention_shape(call);
  const vk::DeviceProfile& profile = call.profile();
  std::uint64_t bytes = profile.limits.max_storage_range;
  if (call.variant() == "texel") bytes = std::min(bytes, profile.limits.max_texel_elements * 16);
  const std::int64_t rows = bindable_rows(launches, bytes);
  if (rows >= shape.rows()) return shape.sequences;
  // a window may have to begin up to that many rows early
  const std::int64_t sequences = (rows - (kRowQuantum - 1)) / shape.positions;
  if (rows < kRowQuantum || sequences < 1) {
    fail(ErrorCode::kUnsupported,
         "{}: one sequence of {} positions does not fit a binding of {} bytes, the most this device allows ({} "
         "rows); use a shorter "
         "sequence",
         call.label(), shape.positions, bytes, rows);
  }
  return sequences;
}

}  // namespace

double AttentionShape::pairs() const {
  const double full = static_cast<double>(positions - window) * static_cast<double>(window);
  return static_cast<double>(sequences) * (full + static_cast<double>(window) * static_cast<double>(window + 1) / 2);
}

AttentionShape infer_attention(const InferCall& call) {
  const bool fused = !call.has_input(1);
  const Shape q = call.in(0);
  call.require(call.has_input(1) == call.has_input(2), "k and v are given both or neither");
  call.require(fused || (call.in(1) == q && call.in(2) == q), "q, k and v have one shape");
  call.require(fused || (call.in(1).dtype == q.dtype && call.in(2).dtype == q.dtype), "q, k and v have one type");
  const std::int64_t batch = call.attrs().integer("batch"), heads = call.attrs().integer("heads");
  call.require(batch > 0 && q.rows % batch == 0, "the rows are a multiple of the attribute batch");
  call.require(!fused || q.cols % 3 == 0, "a fused q, k, v has 3 D columns");
  call.require(heads > 0 && (fused ? q.cols / 3 : q.cols) % heads == 0, "D is a multiple of the attribute heads");
  call.require(call.attrs().integer_or("window", 0) >= 0, "the attribute window is not negative");
  const AttentionShape shape = shape_from(call.attrs(), q, fused);
  call.require(shape.positions > 0 && shape.head_size > 0, "there is at least one position and one column a head");
  call.require(shape.head_size <= kMaxHeadSize, "D / heads is at most 128");
  call.require(shape.window <= kMaxAttentionSpan,
               fmt::format("a position attends to at most {} others", kMaxAttentionSpan));
  return shape;
}

AttentionShape attention_shape(const NodeView& node) {
  return shape_from(node.attrs(), node.in(0), !node.has_input(1));
}

std::vector<std::string> attention_variants(const NodeView& node, const vk::DeviceProfile& profile, bool backward) {
  const bool can_split = shuffling_size(profile, kSplitLanes, kTileLocal) > 0;
  const AttentionShape shape = attention_shape(node);
  const bool software = profile.device_class == vk::DeviceClass::kSoftware;
  const DType dtype = node.in(0).dtype;
  std::vector<std::string> variants;
  if (texel_fits(shape, profile) && !is_half(dtype)) variants.emplace_back("texel");
  const bool coop = attention_coop_fits(shape, dtype, profile, backward);
  // A subgroup keeps keys, values and both sums in fragments: with long heads all 256 registers of those GPUs on which
  // subgroups of 32 are one size of several. Their compiler spills; NVIDIA's does not.
  const bool coop_first =
      !backward || shape.head_size <= 64 || profile.features.min_subgroup_size == profile.features.max_subgroup_size;
  if (coop && !software && coop_first) variants.emplace_back("coop");
  const bool block = !software && attention_block_fits(shape, profile, backward);
  // An invocation of a block with fewer scores reads as much shared memory for each as one of "split".
  constexpr std::uint32_t kWorthwhile = 4;
  const bool block_first = block && attention_block(shape.head_size, backward, profile).scores() >= kWorthwhile;
  if (block_first) variants.emplace_back("block");
  if (can_split && !software && shares_rows(shape, profile, backward)) variants.emplace_back("split");
  if (block && !block_first) variants.emplace_back("block");
  if (coop && !software && !coop_first) variants.emplace_back("coop");
  variants.emplace_back("baseline");
  if (can_split && software && shape.head_size <= 32) variants.emplace_back("split");
  if (software && attention_block_fits(shape, profile, backward)) variants.emplace_back("block");
  if (coop && software) variants.emplace_back("coop");
  return variants;
}

AttentionKernel attention_kernel(AttentionPass pass, std::string_view variant, const AttentionShape& shape,
                                 const vk::DeviceProfile& profile) {
  std::string name = pass == AttentionPass::kForward         ? "attention"
                     : pass == AttentionPass::kBackwardQuery ? "attention_backward_query"
                                                             : "attention_backward_key";
  AttentionKernel kernel;
  if (variant == "texel") {
    kernel.subgroup_size = texel_lanes(profile);
    const std::uint32_t rows = texel_rows(shape.head_size);
    kernel.constants = {kernel.subgroup_size, static_cast<std::uint32_t>(shape.head_size / 4), rows};
    kernel.rows_a_group = kernel.subgroup_size * rows;
    kernel.shader = name + "_texel";
  } else if (variant == "block") {
    const AttentionBlock block = attention_block(shape.head_size, pass != AttentionPass::kForward, profile);
    kernel.subgroup_size = block.subgroup_size;
    kernel.constants = {block.local,       static_cast<std::uint32_t>(shape.head_size),
                        block.queries,     block.keys,
                        block.score_lanes, block.output_lanes};
    if (pass == AttentionPass::kForward) {
      kernel.shader = block.turns ? "attention_block_turns" : "attention_block";
      kernel.rows_a_group = block.queries;
    } else {
      kernel.shader = "attention_backward_block";
      kernel.constants.push_back(block.d_q_lanes);
      kernel.rows_a_group = block.keys;
    }
  } else if (variant == "coop") {
    const bool backward = pass != AttentionPass::kForward;
    const AttentionBlock block = attention_coop_block(shape.head_size, backward, profile);
    const CoopForm form = attention_coop_form(profile, shape.dtype);
    kernel.subgroup_size = form == CoopForm::kEmulated ? 0 : 32;
    kernel.shader = backward ? "attention_backward_coop_" : "attention_coop_";
    kernel.shader += to_string(form);
    kernel.constants = {block.local, static_cast<std::uint32_t>(shape.head_size), block.queries, block.keys};
    kernel.rows_a_group = backward ? block.keys : block.queries;
  } else {
    kernel = tile_kernel(pass, variant == "split", shape, profile);
    const bool together = variant == "baseline" && kernel.constants[2] > 1;
    kernel.shader = variant == "split" ? name + "_split" : together ? name + "_together" : name;
  }
  return kernel;
}

void launch_attention(LowerCall& call, const std::vector<AttentionLaunch>& launches, std::int64_t max_sequences) {
  const AttentionShape shape = attention_shape(call);
  std::int64_t sequences = bindable_sequences(call, launches);  // of a launch
  if (max_sequences > 0) sequences = std::min(sequences, max_sequences);
  AttentionPush push{};
  push.positions = static_cast<std::uint32_t>(shape.positions);
  push.heads = static_cast<std::uint32_t>(shape.heads);
  push.window = static_cast<std::uint32_t>(shape.window);
  const auto width = static_cast<std::uint32_t>(shape.width());
  push.q_ld = push.k_ld = push.v_ld = static_cast<std::uint32_t>(call.in(0).ld());
  push.k_column = shape.fused ? width : 0;
  push.v_column = shape.fused ? 2 * width : 0;
  push.out_ld = static_cast<std::uint32_t>(Shape{1, shape.width(), call.in(0).dtype}.ld());
  push.log_sum_exp_ld = static_cast<std::uint32_t>(Shape{1, shape.heads}.ld());
  push.stats_ld = static_cast<std::uint32_t>(Shape{1, 2 * shape.heads}.ld());
  push.scale = shape.scale;
  for (std::int64_t first = 0; first < shape.sequences; first += sequences) {
    const std::int64_t count = std::min(sequences, shape.sequences - first);
    const std::int64_t begin = first * shape.positions / kRowQuantum * kRowQuantum;
    push.first_row = static_cast<std::uint32_t>(first * shape.positions - begin);
    push.sequences = static_cast<std::uint32_t>(count);
    for (const auto& [kernel, bindings, invocations] : launches) {
      const std::int64_t row_blocks = (shape.positions + kernel.rows_a_group - 1) / kernel.rows_a_group;
      const std::int64_t local = kernel.constants[0];
      push.row_blocks = static_cast<std::uint32_t>(row_blocks);
      Launch launch{.shader = kernel.shader, .constants = kernel.constants, .subgroup_size = kernel.subgroup_size};
      launch.groups = LowerCall::grid(invocations > 0 ? (count * invocations + local - 1) / local
                                                      : row_blocks * count * shape.heads);
      for (const AttentionBinding& binding : bindings) {
        if (binding.whole) {
          launch.bindings.emplace_back(binding.value);
        } else {
          launch.bindings.emplace_back(binding.value, begin, (first + count) * shape.positions);
        }
      }
      call.dispatch(launch, push);
    }
  }
}

void clear_packed_heads(LowerCall& call, std::size_t output) {
  const Shape out = call.out(output);
  if (!is_half(out.dtype)) return;
  if (out.cols != out.ld() || attention_shape(call).head_size % 4) call.clear(call.output(output));
}

namespace {

void infer(InferCall& call) {
  const AttentionShape shape = infer_attention(call);
  call.output({shape.rows(), shape.width()}, call.in(0).dtype);
  call.output({shape.rows(), shape.heads});
}

void lower(LowerCall& call) {
  const AttentionShape shape = attention_shape(call);
  const std::size_t k = shape.fused ? 0 : 1, v = shape.fused ? 0 : 2;
  clear_packed_heads(call, 0);
  launch_attention(call, {{attention_kernel(AttentionPass::kForward, call.variant(), shape, call.profile()),
                           {{call.input(0), call.in(0)},
                            {call.input(k), call.in(k)},
                            {call.input(v), call.in(v)},
                            {call.output(0), call.out(0)},
                            {call.output(1), call.out(1)}}}});
}

void grad(GradCall& call) {
  const bool fused = !call.has_input(1);
  if (call.d_output(1))
    fail(ErrorCode::kUnsupported, "{}: log_sum_exp is kept for the backward pass; it takes no gradient", call.label());
  const Value k = fused ? Value{} : call.input(1), v = fused ? Value{} : call.input(2);
  const std::vector<Value> d = call.op(
      "attention_backward", {call.input(0), k, v, call.output(0), call.output(1), call.d_output(0)}, call.attrs());
  for (std::size_t i = 0; i < d.size(); ++i) call.add_gradient(i, d[i]);
}

Cost cost(const NodeView& node) {
  const AttentionShape shape = attention_shape(node);
  const double inputs = (shape.fused ? 1.0 : 3.0) * static_cast<double>(node.in(0).bytes());
  return {.flops = 4 * shape.pairs() * static_cast<double>(shape.width()),
          .bytes = inputs + static_cast<double>(node.out(0).bytes() + node.out(1).bytes())};
}

std::optional<SizedCase> sized(const NodeView& node, std::int64_t rows) {
  SizedCase sized{.launch = reference::attention_case(
                      reference::attention_like(node.attrs(), node.in(0), !node.has_input(1), rows))};
  for (std::size_t i = 0; i < node.input_count(); ++i)
    if (node.has_input(i)) sized.launch.inputs.at(i).dtype = node.in(i).dtype;
  return sized;
}

}  // namespace

extern const OpDef attention;
const OpDef attention{
    .name = "attention",
    .formula = "out_i = sum_j softmax_j(q_i k_j) v_j over j in (i - window, i]; log_sum_exp_i = log sum_j exp(q_i k_j)",
    .inputs = {"q", "k?", "v?"},
    .attrs = {"batch", "heads", "window", "scaled"},
    .infer = infer,
    .lower = lower,
    .grad = grad,
    .cost = cost,
    .variants = [](const NodeView& node,
                   const vk::DeviceProfile& profile) { return attention_variants(node, profile, false); },
    .half = {"q", "k", "v"},
    .half_inner = 1,  // variant coop rounds the weights,
    .sized = sized,
};

}  // namespace fabula::ops
