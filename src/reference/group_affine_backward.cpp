#include <cmath>

#include "graph/reference.hpp"
#include "reference/grouped_batch.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;
using graph::Shape;

template <class T>
void group_affine_backward(RefCall<T>& call) {
  const auto& d_z = *call.in[3];
  group_affine_gradients(call, call.in[2]->u, [&](std::int64_t n, std::int64_t, std::int64_t s, std::int64_t) {
    return double(d_z.at(n, s));
  });
}
template void group_affine_backward<float>(RefCall<float>&);
template void group_affine_backward<double>(RefCall<double>&);

namespace {
OpCase batch_case(std::string name, std::int64_t positions, std::int64_t groups, std::int64_t slots) {
  OpCase result{.name = std::move(name),
                .inputs = {{.shape = {positions, slots}},
                           {.shape = {groups, slots}},
                           {.shape = {1, GroupPlanLayout(positions, groups).words}, .dtype = DType::kU32},
                           {.shape = {positions, slots}}}};
  result.fill = [=](auto& in, Philox& random) {
    const auto targets = random_targets(positions, std::uint32_t(groups), std::uint32_t(slots), random);
    in[2].u = make_group_plan(targets, static_cast<std::uint32_t>(groups));
    for (std::int64_t n = 0; n < positions; ++n)  // d_z outside the real slots does not matter
      for (std::int64_t s = targets[n].slots; s < slots; ++s) in[3].at(n, s) = NAN;
  };
  return result;
}
}  // namespace

std::vector<OpCase> group_affine_backward_cases() {
  OpCase non_finite = batch_case("non_finite_37x5x11", 37, 5, 11);
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[3].at(0, 0) = NAN;
    in[3].at(11, 5) = INFINITY;
  };
  return {non_finite,
          batch_case("odd_37x5x11", 37, 5, 11),
          batch_case("one", 1, 1, 1),
          batch_case("chunks_700x2x7", 700, 2, 7),
          batch_case("paper_130x224x225", 130, 224, 225),
          batch_case("wide_6x3x5000", 6, 3, 5000)};
}

}  // namespace fabula::reference
