#include "ops/grouped_launch.hpp"
#include "ops/mean_gradient.hpp"
#include "ops/row_lanes.hpp"
#include "ops/sum_lowering.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum Input : std::size_t { kX, kWeight, kRows, kShift, kPlan, kScale };
enum Output : std::size_t { kMean, kLoss, kCorrect, kDX, kDWeight, kDShift };
enum Scratch : std::size_t { kZ, kPartials, kSums, kShiftSums };
constexpr std::int64_t kScratchColumns = 64;  ///< of a row of the scratch value that holds a round's logits

template <class Call>
GroupedSize size_of(const Call& call) {
  return {.positions = call.in(kX).rows,
          .depth = call.in(kX).cols,
          .slots = call.in(kShift).cols,
          .groups = call.in(kShift).rows,
          .weight_rows = call.in(kWeight).rows,
          .ragged = true};
}
bool has_gradient(const NodeView& node) {
  return node.has_input(kScale);
}

void infer(InferCall& call) {
  const GroupedSize size = size_of(call);
  const Shape row{1, size.positions};
  call.require(call.in(kRows) == Shape{1, size.groups * size.slots} && call.dtype(kRows) == DType::kU32,
               "rows are words [1, groups * slots]");
  call.require(call.in(kWeight).cols == size.depth, "x and weight that agree in columns");
  require_extent(call, size.positions, "positions");
  require_extent(call, size.depth, "columns");
  call.require(size.slots <= kMaxRaggedSlots, fmt::format("at most {} slots", kMaxRaggedSlots));
  call.require(call.in(kPlan) == Shape{1, size.plan().words} && call.dtype(kPlan) == DType::kU32,
               "plan is a group plan with rounds for these positions, groups and slots");
  call.output({1, 1});
  call.output(row);
  call.output(row);
  if (!call.has_input(kScale)) return;
  call.require(call.in(kScale) == Shape{1, 4}, "scale is [1, 4]");
  call.output(call.in(kX));
  call.output(call.in(kWeight));
  call.output(call.in(kShift));
}

/// Losses of a round's positions; with a scale, the logits' gradients in their place.
void lower_losses(LowerCall& call, const GroupPlanLayout& plan, std::int64_t round) {
  // Most groups are small; the lanes of a row loop over those of a large one.
  constexpr std::int64_t kMostColumns = 256;
  const std::int64_t slots = call.in(kShift).cols;
  const RowLanes lanes =
      row_lanes(std::min(slots, kMostColumns), row_variants({plan.positions, slots}, call.profile()).front());
  const std::int64_t rows_at_once = lanes.width / lanes.lanes;
  const struct {
    std::uint32_t positions, groups, slots, entries, places, round_chunks, round, gradient;
  } push{std::uint32_t(plan.positions), std::uint32_t(plan.groups), std::uint32_t(slots),
         std::uint32_t(plan.entries),   std::uint32_t(plan.places), std::uint32_t(plan.round_chunks),
         std::uint32_t(round),          call.has_input(kScale)};
  call.dispatch(
      Launch{.shader = "fused_grouped_cross_entropy",
             .constants = lanes.constants(),
             .bindings = {call.scratch(kZ), call.input(kPlan), call.input(call.has_input(kScale) ? kScale : kPlan),
                          call.output(kLoss), call.output(kCorrect)},
             .groups = LowerCall::grid(plan.chunks * ceil_div(kSegmentChunk, rows_at_once))},
      push);
}

void lower(LowerCall& call) {
  const GroupedSize size = size_of(call);
  const GroupPlanLayout plan = size.plan();
  const bool gradient = call.has_input(kScale);
  const bool windows = gradient && grouped_windows(size, call.profile(), call.variant()).count > 0;
  if (gradient) call.clear(call.output(kDWeight));  // rows that no group with positions names
  const Value z = call.scratch(kZ);
  for (std::int64_t round = 0; round < plan.rounds.count; ++round) {
    const GroupedProduct product(call, size,
                                 {.x = call.input(kX),
                                  .weight = call.input(kWeight),
                                  .rows = call.input(kRows),
                                  .plan = call.input(kPlan),
                                  .round = round});
    product.forward(call.input(kShift), z);
    lower_losses(call, plan, round);
    if (!gradient) continue;
    product.backward_x(z, call.output(kDX));
    product.backward_weight(z, call.output(kDWeight), call.output(kDShift), windows ? call.scratch(kSums) : Value{},
                            windows ? call.scratch(kShiftSums) : Value{});
  }
  lower_sum(call, call.output(kLoss), {1, size.positions}, call.output(kMean), call.scratch(kPartials),
            gradient ? "mean_loss" : "sum_all", gradient ? call.input(kScale) : Value{});
}

void grad(GradCall& call) {
  hand_over_mean_gradients(call, "fused_grouped_cross_entropy", kScale,
                           {{kX, kDX}, {kWeight, kDWeight}, {kShift, kDShift}});
}

std::vector<Shape> scratch(const NodeView& node, const vk::DeviceProfile& profile, std::string_view variant) {
  const GroupedSize size = size_of(node);
  std::vector<Shape> shapes{{ceil_div(4 * size.plan().rounds.vec4s, kScratchColumns), kScratchColumns},
                            {1, std::max<std::int64_t>(sum_partials({1, size.positions}), 1)}};
  if (!has_gradient(node)) return shapes;
  for (const Shape& sums : grouped_window_sums(size, grouped_windows(size, profile, variant))) shapes.push_back(sums);
  return shapes;
}
}  // namespace

extern const OpDef fused_grouped_cross_entropy;
const OpDef fused_grouped_cross_entropy{
    .name = "fused_grouped_cross_entropy",
    .formula =
        "mean = scale[0] * sum of loss; loss[n] = log(sum_s exp(z[n,s])) - z[n,label] over the real slots s of n's "
        "group g, z[n,s] = sum_k x[n,k] weight[rows[g S + s],k] + shift[g,s]; 0 for positions in no group; of a "
        "position only its own group's logits, in rounds; with scale also the mean's gradients",
    .inputs = {"x", "weight", "rows", "shift", "plan", "scale?"},
    .infer = infer,
    .lower = lower,
    .grad = grad,
    .cost =
        [](const NodeView& node) {
          const GroupedSize size = size_of(node);
          const double passes = has_gradient(node) ? 3 : 1;
          const double of_group = std::min(double(size.slots), double(size.weight_rows) / double(size.groups));
          const double logits = double(size.positions) * of_group;
          return Cost{.flops = passes * 2 * logits * double(size.depth),
                      .bytes = passes * (double(node.in(kX).bytes()) + double(node.in(kWeight).bytes()) + 8 * logits)};
        },
    .variants =
        [](const NodeView& node, const vk::DeviceProfile& profile) {
          const bool fits = texel_rows(node.in(kX), profile) > 0 && texel_rows(node.in(kWeight), profile) > 0 &&
                            size_of(node).plan().rounds.vec4s <= std::int64_t(profile.limits.max_texel_elements);
          return grouped_variants(fits, profile);
        },
    .scratch = scratch,
};

}  // namespace fabula::ops
