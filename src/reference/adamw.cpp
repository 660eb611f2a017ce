#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void adamw(RefCall<T>& call) {
  auto &param = call.in[0]->f, &m = call.in[2]->f, &v = call.in[3]->f;
  const auto &grad = call.in[1]->f, &hyper = call.in[4]->f, &clip = call.in[5]->f;
  if (clip[3] != T(0)) return;  // a gradient is not finite: the step is skipped
  const double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3], bias1 = hyper[4], bias2 = hyper[5];
  const double decay = call.attrs.get("decay");
  for (std::size_t i = 0; i < param.size(); ++i) {
    const double g = static_cast<double>(grad[i]) * clip[0];
    const double mean = beta1 * m[i] + (1 - beta1) * g, square = beta2 * v[i] + (1 - beta2) * g * g;
    m[i] = static_cast<T>(mean);
    v[i] = static_cast<T>(square);
    const double decayed = param[i] - lr * decay * param[i];
    param[i] = static_cast<T>(decayed - lr / bias1 * mean / (std::sqrt(square) / std::sqrt(bias2) + eps));
  }
}
template void adamw<float>(RefCall<float>&);
template void adamw<double>(RefCall<double>&);

namespace {
/// The state after t - 1 steps of an ordinary run, and its clip scale.
OpCase sized(std::string name, std::int64_t rows, std::int64_t columns, double decay, int t, double clip) {
  const graph::Shape shape{rows, columns};
  return {.name = std::move(name),
          .attrs = {{"decay", decay}},
          .inputs = {{.shape = shape},
                     {.shape = shape},
                     {.shape = shape},
                     {.shape = shape},
                     {.shape = {1, 8}},
                     {.shape = {1, 4}}},
          .fill =
              [t, clip](auto& in, Philox&) {
                for (auto& v : in[2].f) v = t == 1 ? 0 : 0.1 * v;
                for (auto& v : in[3].f) v = t == 1 ? 0 : 0.01 * v * v;
                in[4].f = {0.01, 0.9, 0.95, 1e-8, 1 - std::pow(0.9, t), 1 - std::pow(0.95, t), 0, 0};
                in[5].f = {clip, 3, 0, 0};
              },
          .gradient = false};
}
}  // namespace

std::vector<OpCase> adamw_cases() {
  OpCase skipped = sized("nonfinite_changes_nothing", 5, 7, 0.1, 3, 1);
  skipped.fill = [](auto& in, Philox&) { in[5].f = {0, 0, 0, 1}; };
  skipped.relative = 0;
  skipped.absolute = 1e-12;
  OpCase at_rest = sized("zero_gradient_first_step", 3, 9, 0, 1, 1);  // 0 / (sqrt(0) + eps): nothing moves
  at_rest.fill = [](auto& in, Philox&) {
    for (int i : {1, 2, 3}) in[static_cast<std::size_t>(i)].f.assign(in[static_cast<std::size_t>(i)].f.size(), 0);
    in[4].f = {0.01, 0.9, 0.95, 1e-8, 0.1, 0.05, 0, 0};
    in[5].f = {1, 0, 0, 0};
  };
  return {sized("first_step_7x33", 7, 33, 0.1, 1, 1), sized("later_step_clipped", 5, 130, 0.01, 50, 0.125),
          sized("one", 1, 1, 0, 2, 1), at_rest, skipped};
}

}  // namespace fabula::reference
