#include <algorithm>
#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;
using graph::Shape;

template <class T>
void clip_scale(RefCall<T>& call) {
  double sum = 0;
  bool finite = true;
  for (std::size_t i = 1; i < call.in.size(); ++i) {
    for (const T g : call.in[i]->f) {
      finite = finite && std::isfinite(g);
      sum += static_cast<double>(g) * g;
    }
  }
  const double max_norm = call.in[0]->f[0], norm = std::sqrt(sum);
  auto& clip = call.out[0]->f;
  // The device sums in fp32: a sum beyond its range counts as not finite.
  if (!finite || !std::isfinite(static_cast<float>(sum)))
    clip = {T(0), T(0), T(0), T(1)};
  else
    clip = {static_cast<T>(max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0), static_cast<T>(norm), T(0),
            T(0)};
}
template void clip_scale<float>(RefCall<float>&);
template void clip_scale<double>(RefCall<double>&);

namespace {
/// `damage` stands at element `at` of the last gradient.
OpCase sized(std::string name, const std::vector<Shape>& shapes, double max_norm, double damage = 0,
             std::size_t at = 0) {
  std::vector<OpCase::Input> inputs{{.shape = {1, 4}}};
  for (const Shape& shape : shapes) inputs.push_back({.shape = shape});
  return {.name = std::move(name),
          .inputs = std::move(inputs),
          .fill =
              [max_norm, damage, at](auto& in, Philox&) {
                in[0].f = {max_norm, 0, 0, 0};
                if (damage != 0) in.back().f.at(at) = damage;
              },
          .gradient = false};
}
}  // namespace

std::vector<OpCase> clip_scale_cases() {
  std::vector<OpCase> cases{sized("clipped_7x33", {{7, 33}}, 1),
                            sized("not_reached", {{2, 9}, {1, 1}}, 1000),
                            sized("one", {{1, 1}}, 0.5),
                            sized("no_clipping_five", {{7, 33}, {1, 1}, {200, 130}, {1, 64}, {65, 3}}, 0),
                            sized("wide_2x8191", {{2, 8191}}, 1),
                            sized("narrow_5000x3", {{5000, 3}}, 1),
                            sized("chunks_4200x520", {{130, 257}, {4200, 520}, {3, 3}}, 2),
                            sized("infinite", {{300, 130}, {5, 5}}, 1, INFINITY, 20),
                            sized("negative_infinite", {{5, 5}, {300, 130}}, 1, -INFINITY, 20000),
                            sized("nan_at_the_end", {{5, 5}, {300, 130}}, 1, NAN, 38999),
                            sized("nan_in_many_chunks", {{4200, 520}}, 1, NAN, 2000000),
                            sized("square_overflows", {{1, 4}, {70, 6}}, 1, 3e19, 419)};
  cases.push_back(sized("long_70000x400", {{70000, 400}, {1, 400}}, 1));
  cases.back().large = true;
  return cases;
}

}  // namespace fabula::reference
