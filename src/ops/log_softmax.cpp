#include "base/ceil_div.hpp"
#include "graph/sized_case.hpp"
#include "ops/registers.hpp"
#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
/// How workgroups go through rows. Where there are few, and long, several of a large GPU share one, each of which finds
/// its sum: a second launch would take longer.
struct RowWalk {
  RowLanes lanes = {};
  std::uint32_t ahead = 1;   ///< vec4s that an invocation reads at once
  std::uint32_t shares = 1;  ///< workgroups that share a row
};

RowWalk row_walk(const Shape& x, std::string_view variant, const vk::DeviceProfile& profile) {
  RowWalk walk{.lanes = row_lanes(x.cols, variant)};
  constexpr std::int64_t kLong = 4096, kBusy = 128;
  if (variant == kRowByInvocation || profile.device_class == vk::DeviceClass::kSoftware) return walk;
  walk.ahead = 8;
  if (x.cols < kLong || !is_large_gpu(profile)) return walk;
  const vk::Limits& limits = profile.limits;
  walk.lanes.width = std::bit_floor(std::min({512u, limits.max_invocations, limits.max_workgroup_size[0]}));
  walk.lanes.lanes = walk.lanes.width;
  walk.shares = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(kBusy / x.rows, 1, ceil_div<std::int64_t>(x.cols, 4 * walk.lanes.width)));
  return walk;
}
}  // namespace

extern const OpDef log_softmax;
const OpDef log_softmax{
    .name = "log_softmax",
    .formula = "y[r, c] = x[r, c] - log(sum_c exp(x[r, c])) (for decoding: no gradient)",
    .inputs = {"x"},
    .infer = [](InferCall& call) { call.output(call.in(0)); },
    .lower =
        [](LowerCall& call) {
          const Shape x = call.in(0);
          const RowWalk walk = row_walk(x, call.variant(), call.profile());
          for (const RowBlock& block : call.row_blocks({call.input(0), call.output()})) {
            const std::array<std::uint32_t, 3> push{std::uint32_t(block.size()), std::uint32_t(x.cols), walk.shares};
            const std::int64_t groups = ceil_div<std::int64_t>(block.size(), walk.lanes.width / walk.lanes.lanes);
            call.dispatch(Launch{.shader = "log_softmax",
                                 .constants = {walk.lanes.width, walk.lanes.lanes, walk.ahead},
                                 .bindings = {Window(call.input(0), block.begin, block.end),
                                              Window(call.output(), block.begin, block.end)},
                                 .groups = LowerCall::grid(groups * walk.shares)},
                          push);
          }
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 6.0 * double(node.in(0).count()), .bytes = 2.0 * double(node.in(0).bytes())};
        },
    .variants = [](const NodeView& node,
                   const vk::DeviceProfile& profile) { return row_variants(node.in(0), profile); },
    .sized = sized_by_rows,
};

}  // namespace fabula::ops
