#include "base/fail.hpp"
#include "base/group_plan.hpp"
#include "graph/op.hpp"

namespace fabula::ops {
using namespace graph;

namespace {
constexpr std::size_t kPlan = 4, kResidual = 5;

void infer_group_affine(InferCall& call) {
  const Shape u = call.in(0), scale = call.in(1);
  call.require(scale.cols == u.cols && call.in(2) == scale, "scale and shift are [groups, columns of u]");
  call.require(call.in(3) == Shape{1, 4 * u.rows} && call.dtype(3) == DType::kU32, "targets is [1, 4 rows of u], u32");
  if (call.has_input(kPlan)) {
    const Shape plan{1, GroupPlanLayout(u.rows, scale.rows).words};
    call.require(call.in(kPlan) == plan && call.dtype(kPlan) == DType::kU32,
                 "plan is a group plan for these positions and groups");
  }
  if (call.has_input(kResidual)) call.require(call.in(kResidual) == u, "residual has the shape of u");
  call.output(u);
}

void lower_group_affine(LowerCall& call) {
  const Shape u = call.in(0);
  const bool has_residual = call.has_input(kResidual);
  const Value residual = call.input(has_residual ? kResidual : 0);
  for (const RowBlock& rows : call.row_blocks({call.input(0), residual, call.output()})) {
    for (const RowBlock& groups : call.row_blocks({call.input(1), call.input(2)})) {
      const struct {
        std::uint32_t rows, first_row, slots, first_group, end_group, groups, has_residual;
      } push{std::uint32_t(rows.size()),  std::uint32_t(rows.begin), std::uint32_t(u.cols),
             std::uint32_t(groups.begin), std::uint32_t(groups.end), std::uint32_t(call.in(1).rows),
             std::uint32_t(has_residual)};
      call.dispatch(
          Launch{
              .shader = "group_affine",
              .bindings = {Window(call.input(0), rows.begin, rows.end), Window(call.input(1), groups.begin, groups.end),
                           Window(call.input(2), groups.begin, groups.end), call.input(3),
                           Window(residual, rows.begin, rows.end), Window(call.output(), rows.begin, rows.end)},
              .groups = LowerCall::grid((rows.size() * u.ld() / 4 + 127) / 128)},
          push);
    }
  }
}

/// The residual's gradient is d_z itself: what it holds outside the real slots is for the residual's producer to leave
/// out (the losses put zeros there).
void grad_group_affine(GradCall& call) {
  call.add_gradient(kResidual, call.d_output());
  if (!call.wanted(0) && !call.wanted(1) && !call.wanted(2)) return;
  if (!call.has_input(kPlan))
    fail(ErrorCode::kInvalidArgument, "{}: the gradient of group_affine needs its input plan", call.label());
  const std::vector<Value> d =
      call.op("group_affine_backward", {call.input(0), call.input(1), call.input(kPlan), call.d_output()});
  for (std::size_t i = 0; i < 3; ++i) call.add_gradient(i, d[i]);
}
}  // namespace

extern const OpDef group_affine;
const OpDef group_affine{
    .name = "group_affine",
    .formula = "z[n] = scale[g] u[n] + shift[g] (+ residual[n]) in the real slots of the group g of n, 0 elsewhere",
    .inputs = {"u", "scale", "shift", "targets", "plan?", "residual?"},
    .infer = infer_group_affine,
    .lower = lower_group_affine,
    .grad = grad_group_affine,
    .cost =
        [](const NodeView& node) {
          const double matrices = node.has_input(kResidual) ? 3 : 2;
          return Cost{.flops = matrices * double(node.in(0).count()),
                      .bytes = matrices * double(node.in(0).bytes()) + 2.0 * double(node.in(1).bytes())};
        },
    .in_place = {{0, 0}, {0, kResidual}},
};

}  // namespace fabula::ops
