#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;
using graph::Shape;

template <class T>
void adamw(RefCall<T>& call) {
  const auto &hyper = call.in[0]->f, &clip = call.in[1]->f;
  if (clip[3] != T(0)) return;  // a gradient is not finite: the step is skipped
  const double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3], bias1 = hyper[4], bias2 = hyper[5];
  const double decay = call.attrs.get("decay");
  const std::size_t count = (call.in.size() - 2) / 4;
  for (std::size_t tensor = 0; tensor < count; ++tensor) {
    const auto list = [&](std::size_t kind) -> std::vector<T>& { return call.in[2 + kind * count + tensor]->f; };
    auto &param = list(0), &m = list(2), &v = list(3);
    const auto& grad = list(1);
    for (std::size_t i = 0; i < param.size(); ++i) {
      const double g = static_cast<double>(grad[i]) * clip[0];
      const double mean = beta1 * m[i] + (1 - beta1) * g, square = beta2 * v[i] + (1 - beta2) * g * g;
      m[i] = static_cast<T>(mean);
      v[i] = static_cast<T>(square);
      const double decayed = param[i] - lr * decay * param[i];
      param[i] = static_cast<T>(decayed - lr / bias1 * mean / (std::sqrt(square) / std::sqrt(bias2) + eps));
    }
  }
}
template void adamw<float>(RefCall<float>&);
template void adamw<double>(RefCall<double>&);

namespace {
/// The state after t - 1 steps of an ordinary run, and its clip scale.
OpCase sized(std::string name, const std::vector<Shape>& shapes, double decay, int t, double clip) {
  std::vector<OpCase::Input> inputs{{.shape = {1, 8}}, {.shape = {1, 4}}};
  for (int kind = 0; kind < 4; ++kind)
    for (const Shape& shape : shapes) inputs.push_back({.shape = shape});
  return {.name = std::move(name),
          .attrs = {{"decay", decay}},
          .inputs = std::move(inputs),
          .fill =
              [t, clip, count = shapes.size()](auto& in, Philox&) {
                in[0].f = {0.01, 0.9, 0.95, 1e-8, 1 - std::pow(0.9, t), 1 - std::pow(0.95, t), 0, 0};
                in[1].f = {clip, 3, 0, 0};
                for (std::size_t i = 0; i < count; ++i) {
                  for (auto& v : in[2 + 2 * count + i].f) v = t == 1 ? 0 : 0.1 * v;
                  for (auto& v : in[2 + 3 * count + i].f) v = t == 1 ? 0 : 0.01 * v * v;
                }
              },
          .gradient = false};
}
}  // namespace

std::vector<OpCase> adamw_cases() {
  OpCase skipped = sized("nonfinite_changes_nothing", {{5, 7}, {1, 9}}, 0.1, 3, 1);
  skipped.fill = [](auto& in, Philox&) { in[1].f = {0, 0, 0, 1}; };
  skipped.relative = 0;
  skipped.absolute = 1e-12;
  OpCase at_rest = sized("zero_gradient_first_step", {{3, 9}}, 0, 1, 1);  // 0 / (sqrt(0) + eps): nothing moves
  at_rest.fill = [](auto& in, Philox&) {
    for (std::size_t i : {3, 4, 5}) in[i].f.assign(in[i].f.size(), 0);
    in[0].f = {0.01, 0.9, 0.95, 1e-8, 0.1, 0.05, 0, 0};
    in[1].f = {1, 0, 0, 0};
  };
  return {sized("first_step_7x33", {{7, 33}}, 0.1, 1, 1),
          sized("later_step_clipped", {{5, 130}}, 0.01, 50, 0.125),
          sized("one", {{1, 1}}, 0, 2, 1),
          sized("five_tensors", {{7, 33}, {1, 1}, {200, 130}, {1, 64}, {65, 3}}, 0.1, 7, 0.5),
          at_rest,
          skipped};
}

}  // namespace fabula::reference
