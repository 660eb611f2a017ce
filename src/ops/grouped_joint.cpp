#include <limits>

#include "graph/op.hpp"
#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
enum JointInput : std::size_t { kClasses, kU, kScale, kShift, kResidual, kStarts, kEntries };

/// K, G, M and V of a node.
struct JointSizes {
  std::int64_t rows, groups, slots, shortlist, members, tokens;
  template <class Call>
  explicit JointSizes(const Call& call)
      : rows(call.in(kClasses).rows),
        groups(call.in(kStarts).cols - 1),
        slots(call.in(kShift).cols),
        shortlist(call.in(kClasses).cols - groups),
        members(call.in(kEntries).cols / 2 - shortlist),
        tokens(shortlist + members) {}
};

void infer_grouped_joint(InferCall& call) {
  constexpr std::int64_t kMostMembers =
      2'000'000;  // one group may hold nearly all, and a workgroup has 128 invocations
  const JointSizes sizes(call);
  const Shape shift = call.in(kShift);
  call.require(call.has_input(kU) || call.has_input(kResidual), "u or residual, or both");
  call.require(!call.has_input(kScale) || call.has_input(kU), "scale comes with u");
  call.require(!call.has_input(kU) || call.in(kU) == Shape{sizes.rows, shift.cols}, "u is [R, columns of shift]");
  call.require(!call.has_input(kScale) || call.in(kScale) == shift, "scale has the shape of shift");
  call.require(!call.has_input(kResidual) || call.in(kResidual).rows == sizes.rows, "residual has the rows of a");
  call.require(call.in(kStarts).rows == 1 && sizes.groups == shift.rows && sizes.shortlist >= 0 &&
                   call.dtype(kStarts) == DType::kU32,
               "starts is [1, rows of shift + 1], u32, and a has a column for every group");
  call.require(call.in(kEntries).rows == 1 && call.in(kEntries).cols % 2 == 0 && call.dtype(kEntries) == DType::kU32,
               "entries is [1, 2 V], u32");
  call.require(sizes.members > 0 && sizes.members <= kMostMembers, "1 to 2,000,000 tokens in groups");
  call.output({sizes.rows, sizes.tokens});
}

/// Invocations for a group: of mean size, and enough that the loops over one of all members stay within the drivers'
/// limit.
std::uint32_t lanes_of_group(const JointSizes& sizes, std::string_view variant) {
  const std::int64_t least = variant == kRowByInvocation ? 8 : 16;
  const std::int64_t wanted = variant == kRowByInvocation ? 8 : (sizes.members / sizes.groups + 3) / 4;
  const std::int64_t lanes = std::max({least, wanted, sizes.members / 16384});
  return static_cast<std::uint32_t>(std::bit_ceil(static_cast<std::uint64_t>(std::min<std::int64_t>(lanes, 128))));
}

void lower_grouped_joint(LowerCall& call) {
  const JointSizes sizes(call);
  const bool has_u = call.has_input(kU), has_scale = call.has_input(kScale), has_residual = call.has_input(kResidual);
  // What is not given is never read; another input stands in for its binding.
  const Value u = call.input(has_u ? kU : kResidual), residual = call.input(has_residual ? kResidual : kU);
  const std::uint32_t lanes = lanes_of_group(sizes, call.variant());
  // Each workgroup of a row finds the classes' sum anew, so there are no more than keep the device busy.
  const std::int64_t busy = call.variant() == kRowByInvocation ? 4 : 1024;
  const std::int64_t blocks = std::clamp<std::int64_t>(busy / sizes.rows, 1, sizes.groups);
  for (const RowBlock& rows : call.row_blocks({call.input(kClasses), u, residual, call.output()})) {
    const std::array<std::uint32_t, 11> push{std::uint32_t(rows.size()),
                                             std::uint32_t(sizes.shortlist),
                                             std::uint32_t(sizes.groups),
                                             std::uint32_t(sizes.slots),
                                             std::uint32_t(sizes.members),
                                             std::uint32_t(sizes.tokens),
                                             has_residual ? std::uint32_t(call.in(kResidual).cols) : 0,
                                             std::uint32_t(blocks),
                                             has_u,
                                             has_scale,
                                             has_residual};
    const auto of_block = [&](Value value) { return Window(value, rows.begin, rows.end); };
    call.dispatch(Launch{.shader = "grouped_joint",
                         .constants = {lanes, lanes},
                         .bindings = {of_block(call.input(kClasses)), of_block(u),
                                      call.input(has_scale ? kScale : kShift), call.input(kShift), of_block(residual),
                                      call.input(kStarts), call.input(kEntries), of_block(call.output())},
                         .groups = LowerCall::grid(rows.size() * blocks)},
                  push);
  }
}
}  // namespace

extern const OpDef grouped_joint;
const OpDef grouped_joint{
    .name = "grouped_joint",
    .formula =
        "log_p[r, token] = log_softmax(a[r])[class] + log_softmax over its group of z, z = scale[g, s] u[r, s] + "
        "shift[g, "
        "s] + residual[r, column]; for few rows (for decoding: no gradient)",
    .inputs = {"a", "u?", "scale?", "shift", "residual?", "starts", "entries"},
    .infer = infer_grouped_joint,
    .lower = lower_grouped_joint,
    .cost =
        [](const NodeView& node) {
          const double entries = double(node.out().count());
          return Cost{.flops = 14.0 * entries,
                      .bytes = 3.0 * double(node.out().bytes()) + 8.0 * double(node.out().cols)};
        },
    .variants =
        [](const NodeView&, const vk::DeviceProfile& profile) {
          std::vector<std::string> variants{std::string(kRowByWorkgroup), std::string(kRowByInvocation)};
          if (profile.device_class == vk::DeviceClass::kSoftware) std::swap(variants[0], variants[1]);
          return variants;
        },
};

}  // namespace fabula::ops
