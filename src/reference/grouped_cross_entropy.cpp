#include "graph/reference.hpp"
#include "reference/grouped_batch.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;
using graph::Shape;

template <class T>
void grouped_cross_entropy(RefCall<T>& call) {
  const auto &u = *call.in[0], &scale = *call.in[1], &shift = *call.in[2];
  for (std::int64_t n = 0; n < u.shape.rows; ++n) {
    const std::uint32_t* target = call.in[3]->u.data() + 4 * n;
    const std::uint32_t group = target[0], slot = target[1], slots = target[2];
    if (group == kIgnoredLabel) continue;  // all three stay zero
    const bool valid = group < scale.shape.rows && slot < slots && slots <= u.shape.cols;
    const auto z = [&](std::int64_t s) { return static_cast<T>(scale.at(group, s) * u.at(n, s)) + shift.at(group, s); };
    const SoftmaxRow row = softmax_row(valid ? slots : 0, z);
    call.out[0]->f[n] = static_cast<T>(row.finite ? -row.log_p(z(slot)) : row.log_sum_exp);
    call.out[1]->f[n] = static_cast<T>(row.log_sum_exp);
    call.out[2]->f[n] = row.finite && is_argmax(slots, slot, z) ? 1 : 0;
  }
}
template void grouped_cross_entropy<float>(RefCall<float>&);
template void grouped_cross_entropy<double>(RefCall<double>&);

namespace {
OpCase batch_case(std::string name, std::int64_t positions, std::int64_t groups, std::int64_t slots, bool plan = true) {
  const Shape table{groups, slots};
  OpCase result{
      .name = std::move(name),
      .inputs = {{.shape = {positions, slots}},
                 {.shape = table},
                 {.shape = table},
                 {.shape = {1, 4 * positions}, .dtype = DType::kU32},
                 {.shape = {1, GroupPlanLayout(positions, groups).words}, .dtype = DType::kU32, .present = plan}},
      .gradient = plan && positions * slots < 4000};
  result.fill = [=](auto& in, Philox& random) {
    const auto targets = random_targets(positions, std::uint32_t(groups), std::uint32_t(slots), random);
    in[3].u = target_words(targets);
    if (plan) in[4].u = make_group_plan(targets, static_cast<std::uint32_t>(groups));
  };
  return result;
}
}  // namespace

std::vector<OpCase> grouped_cross_entropy_cases() {
  OpCase non_finite = batch_case("non_finite_37x5x11", 37, 5, 11);  // those rows must say so, and no other
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[0].at(0, 0) = NAN;
    in[0].at(1, 3) = -INFINITY;
    in[0].at(3, 0) = NAN;  // ignored: no loss
    in[0].at(4, in[3].u[4 * 4 + 1]) = INFINITY;
    in[2].at(in[3].u[4 * 6], 1) = NAN;  // every position of that group
    in[3].u[4 * 9 + 1] = 11;            // no such slot
    in[3].u[4 * 10] = 5;                // no such group
  };
  non_finite.gradient = false;
  return {non_finite,
          batch_case("odd_37x5x11", 37, 5, 11),
          batch_case("one", 1, 1, 1),
          batch_case("score_9x3x6", 9, 3, 6, false),
          batch_case("chunks_300x2x7", 300, 2, 7),
          batch_case("paper_130x224x225", 130, 224, 225),
          batch_case("wide_6x3x5000", 6, 3, 5000)};
}

}  // namespace fabula::reference
