#include <cmath>

#include "graph/reference.hpp"
#include "reference/grouped_batch.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;
using graph::Shape;

template <class T>
void grouped_cross_entropy_backward(RefCall<T>& call) {
  const auto &u = *call.in[0], &scale = *call.in[1], &shift = *call.in[2];
  group_affine_gradients(call, call.in[3]->u,
                         [&](std::int64_t n, std::int64_t group, std::int64_t s, std::int64_t label) {
                           const T z = static_cast<T>(scale.at(group, s) * u.at(n, s)) + shift.at(group, s);
                           return (std::exp(double(z) - call.in[4]->f[n]) - (s == label ? 1 : 0)) * call.in[5]->f[n];
                         });
}
template void grouped_cross_entropy_backward<float>(RefCall<float>&);
template void grouped_cross_entropy_backward<double>(RefCall<double>&);

namespace {
OpCase batch_case(std::string name, std::int64_t positions, std::int64_t groups, std::int64_t slots) {
  const Shape row{1, positions}, table{groups, slots};
  OpCase result{.name = std::move(name),
                .inputs = {{.shape = {positions, slots}},
                           {.shape = table},
                           {.shape = table},
                           {.shape = {1, GroupPlanLayout(positions, groups).words}, .dtype = DType::kU32},
                           {.shape = row},
                           {.shape = row}}};
  result.fill = [=](auto& in, Philox& random) {
    const auto targets = random_targets(positions, std::uint32_t(groups), std::uint32_t(slots), random);
    in[3].u = make_group_plan(targets, static_cast<std::uint32_t>(groups));
    for (std::int64_t n = 0; n < positions; ++n) {
      const std::uint32_t group = targets[n].group;
      if (group == kIgnoredLabel) continue;
      const auto z = [&](std::int64_t s) { return in[1].at(group, s) * in[0].at(n, s) + in[2].at(group, s); };
      in[4].f[n] = softmax_row(targets[n].slots, z).log_sum_exp;
    }
  };
  return result;
}
}  // namespace

std::vector<OpCase> grouped_cross_entropy_backward_cases() {
  OpCase non_finite = batch_case("non_finite_37x5x11", 37, 5, 11);
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[4].f[0] = NAN;  // as the forward pass marks a position
    in[4].f[3] = NAN;  // ignored: no gradient
    in[5].f[11] = INFINITY;
  };
  return {non_finite,
          batch_case("odd_37x5x11", 37, 5, 11),
          batch_case("one", 1, 1, 1),
          batch_case("chunks_700x2x7", 700, 2, 7),
          batch_case("paper_130x224x225", 130, 224, 225),
          batch_case("wide_6x3x5000", 6, 3, 5000)};
}

}  // namespace fabula::reference
