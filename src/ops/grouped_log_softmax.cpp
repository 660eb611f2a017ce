#include "ops/row_lanes.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
/// K, G, M and V of a node.
struct Sizes {
  std::int64_t groups, shortlist, members, tokens;
  template <class Call>
  explicit Sizes(const Call& call)
      : groups(call.in(2).cols - 1),
        shortlist(call.in(0).cols - groups),
        members(call.in(1).cols),
        tokens(call.in(3).cols / 2) {}
};

void infer_grouped_log_softmax(InferCall& call) {
  const Shape a = call.in(0), z = call.in(1), starts = call.in(2), entries = call.in(3);
  const Sizes sizes(call);
  call.require(a.rows == z.rows, "a and z have the same rows");
  call.require(starts.rows == 1 && sizes.groups > 0 && sizes.shortlist >= 0 && call.dtype(2) == DType::kU32,
               "starts is [1, groups + 1], u32, and a has a column for every group");
  call.require(entries.rows == 1 && entries.cols % 2 == 0 && call.dtype(3) == DType::kU32, "entries is [1, 2 V], u32");
  call.output({a.rows, sizes.tokens});
}

/// The log of the sum over each group, for every row of a block.
void lower_group_sums(LowerCall& call, const RowBlock& rows) {
  const Sizes sizes(call);
  // Lanes for a group of mean size, and enough of them that one of all members stays far below the drivers' loop limit.
  const RowLanes lanes = row_lanes(std::max(sizes.members / sizes.groups, sizes.members / 8192), call.variant());
  const std::array<std::uint32_t, 3> push{std::uint32_t(rows.size()), std::uint32_t(sizes.groups),
                                          std::uint32_t(sizes.members)};
  call.dispatch(Launch{.shader = "grouped_log_softmax_sums",
                       .constants = lanes.constants(),
                       .bindings = {Window(call.input(1), rows.begin, rows.end), call.input(2),
                                    Window(call.scratch(0), rows.begin, rows.end)},
                       .groups = lanes.groups(rows.size() * ((sizes.groups + 3) / 4 * 4))},
                push);
}

void lower_tokens(LowerCall& call, const RowBlock& rows) {
  const Sizes sizes(call);
  const struct {
    std::uint32_t rows, shortlist, groups, members, tokens;
  } push{std::uint32_t(rows.size()), std::uint32_t(sizes.shortlist), std::uint32_t(sizes.groups),
         std::uint32_t(sizes.members), std::uint32_t(sizes.tokens)};
  call.dispatch(
      Launch{.shader = "grouped_log_softmax",
             .bindings = {Window(call.input(0), rows.begin, rows.end), Window(call.input(1), rows.begin, rows.end),
                          Window(call.scratch(0), rows.begin, rows.end), call.input(3),
                          Window(call.output(), rows.begin, rows.end)},
             .groups = LowerCall::grid((rows.size() * call.out().ld() / 4 + 127) / 128)},
      push);
}
}  // namespace

extern const OpDef grouped_log_softmax;
const OpDef grouped_log_softmax{
    .name = "grouped_log_softmax",
    .formula =
        "log_p[r, v] = a[r, class] + z[r, i] - log_sum_exp of z[r] over the group, entries[2 v] = class, entries[2 v + "
        "1] = i or none: then a[r, class] (for decoding: no gradient)",
    .inputs = {"a", "z", "starts", "entries"},
    .infer = infer_grouped_log_softmax,
    .lower =
        [](LowerCall& call) {
          for (const RowBlock& rows : call.row_blocks({call.input(0), call.input(1), call.scratch(0), call.output()})) {
            lower_group_sums(call, rows);
            lower_tokens(call, rows);
          }
        },
    .cost =
        [](const NodeView& node) {
          return Cost{.flops = 6.0 * double(node.in(1).count()) + 2.0 * double(node.out().count()),
                      .bytes = 2.0 * double(node.in(1).bytes()) + double(node.out().bytes())};
        },
    // How long the groups are is known to the host alone; one of them may hold almost all members.
    .variants =
        [](const NodeView& node, const vk::DeviceProfile& profile) {
          const Sizes sizes(node);
          return row_variants({node.in(0).rows * sizes.groups, sizes.members}, profile);
        },
    .scratch =
        [](const NodeView& node, const vk::DeviceProfile&, std::string_view) {
          return std::vector<Shape>{{node.in(0).rows, Sizes(node).groups}};
        },
};

}  // namespace fabula::ops
