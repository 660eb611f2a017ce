#include <cmath>

#include "graph/reference.hpp"
#include "reference/grouped_batch.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;
using graph::Shape;

template <class T>
void group_affine(RefCall<T>& call) {
  const auto &u = *call.in[0], &scale = *call.in[1], &shift = *call.in[2];
  for (std::int64_t n = 0; n < u.shape.rows; ++n) {
    const std::uint32_t* target = call.in[3]->u.data() + 4 * n;
    const std::uint32_t group = target[0], slots = target[2];
    if (group == kIgnoredLabel) continue;
    const bool valid = group < scale.shape.rows && slots <= u.shape.cols;
    for (std::int64_t s = 0; s < (valid ? slots : u.shape.cols); ++s) {
      double z = valid ? static_cast<double>(scale.at(group, s)) * u.at(n, s) + shift.at(group, s) : NAN;
      if (call.in[5]) z += call.in[5]->at(n, s);
      call.out[0]->at(n, s) = static_cast<T>(z);
    }
  }
}
template void group_affine<float>(RefCall<float>&);
template void group_affine<double>(RefCall<double>&);

namespace {
OpCase batch_case(std::string name, std::int64_t positions, std::int64_t groups, std::int64_t slots,
                  bool residual = false, bool plan = true) {
  const Shape table{groups, slots};
  OpCase result{
      .name = std::move(name),
      .inputs = {{.shape = {positions, slots}},
                 {.shape = table},
                 {.shape = table},
                 {.shape = {1, 4 * positions}, .dtype = DType::kU32},
                 {.shape = {1, GroupPlanLayout(positions, groups).words}, .dtype = DType::kU32, .present = plan},
                 {.shape = {positions, slots}, .present = residual}},
      // d_residual is d_z: the gradient of the residual holds in real slots only.
      .gradient = plan && !residual && positions * slots < 4000};
  result.fill = [=](auto& in, Philox& random) {
    const auto targets = random_targets(positions, std::uint32_t(groups), std::uint32_t(slots), random);
    in[3].u = target_words(targets);
    if (plan) in[4].u = make_group_plan(targets, static_cast<std::uint32_t>(groups));
  };
  return result;
}
}  // namespace

std::vector<OpCase> group_affine_cases() {
  OpCase bad = batch_case("non_finite_37x5x11", 37, 5, 11, true);
  bad.fill = [fill = bad.fill](auto& in, Philox& random) {
    fill(in, random);
    in[0].at(0, 0) = NAN;
    in[5].at(3, 3) = NAN;     // in no group
    in[3].u[4 * 9 + 2] = 12;  // more slots than there are
    in[3].u[4 * 10] = 5;      // no such group
  };
  OpCase full = batch_case("all_real_9x2x7", 9, 2, 7, true);  // every position in a group, every slot real
  full.gradient = true;
  full.fill = [](auto& in, Philox& random) {
    std::vector<GroupTarget> targets;
    for (int n = 0; n < 9; ++n) targets.push_back({random.below(2), random.below(7), 7});
    in[3].u = target_words(targets);
    in[4].u = make_group_plan(targets, 2);
  };
  return {bad,
          full,
          batch_case("odd_37x5x11", 37, 5, 11),
          batch_case("one", 1, 1, 1),
          batch_case("score_9x3x6", 9, 3, 6, true, false),
          batch_case("chunks_300x2x7", 300, 2, 7),
          batch_case("residual_130x224x225", 130, 224, 225, true),
          batch_case("wide_6x3x5000", 6, 3, 5000, true)};
}

}  // namespace fabula::reference
