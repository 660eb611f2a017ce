#include <algorithm>
#include <numeric>

#include "graph/reference.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

template <class T>
void grouped_log_probs(RefCall<T>& call) {
  const auto &a = *call.in[0], &u = *call.in[1], &scale = *call.in[2], &shift = *call.in[3];
  const std::int64_t groups = a.shape.cols, slots = u.shape.cols;
  for (std::int64_t r = 0; r < a.shape.rows; ++r) {
    const SoftmaxRow first = softmax_row(groups, [&](std::int64_t g) { return a.at(r, g); });
    std::vector<SoftmaxRow> second;
    for (std::int64_t g = 0; g < groups; ++g) {
      second.push_back(softmax_row(std::min<std::int64_t>(call.in[4]->u[g], slots),
                                   [&](std::int64_t s) { return scale.at(g, s) * u.at(r, s) + shift.at(g, s); }));
    }
    for (std::int64_t v = 0; v < call.out[0]->shape.cols; ++v) {
      const std::int64_t g = call.in[5]->u[v] / slots, s = call.in[5]->u[v] % slots;
      const double log_p_slot = second[g].log_p(scale.at(g, s) * u.at(r, s) + shift.at(g, s));
      call.out[0]->at(r, v) = static_cast<T>(first.log_p(a.at(r, g)) + log_p_slot);
    }
  }
}
template void grouped_log_probs<float>(RefCall<float>&);
template void grouped_log_probs<double>(RefCall<double>&);

namespace {
OpCase decode_case(std::string name, std::int64_t rows, std::int64_t groups, std::int64_t slots, std::int64_t tokens) {
  const graph::Shape table{groups, slots};
  OpCase result{.name = std::move(name),
                .inputs = {{.shape = {rows, groups}},
                           {.shape = {rows, slots}},
                           {.shape = table},
                           {.shape = table},
                           {.shape = {1, groups}, .dtype = DType::kU32},
                           {.shape = {1, tokens}, .dtype = DType::kU32}},
                .gradient = false};
  // A map that is no range map: token v takes place v of a list in which the groups take turns.
  result.fill = [=](auto& in, Philox&) {
    for (std::int64_t v = 0; v < tokens; ++v) {
      const auto g = static_cast<std::uint32_t>(v % groups);
      in[5].u[v] = g * static_cast<std::uint32_t>(slots) + in[4].u[g]++;
    }
  };
  return result;
}
}  // namespace

std::vector<OpCase> grouped_log_probs_cases() {
  OpCase non_finite = decode_case("non_finite_67x4x9", 67, 4, 9, 33);
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[0].at(0, 1) = NAN;
    in[1].at(7, 2) = INFINITY;
  };
  return {non_finite, decode_case("odd_3x5x7", 3, 5, 7, 31), decode_case("one", 1, 1, 1, 1),
          decode_case("rows_67x4x9", 67, 4, 9, 33), decode_case("paper_2x224x225", 2, 224, 225, 50257)};
}

}  // namespace fabula::reference
