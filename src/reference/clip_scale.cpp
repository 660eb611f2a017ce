#include <algorithm>
#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void clip_scale(RefCall<T>& call) {
  double sum = 0;
  bool finite = true;
  for (T partial : call.in[0]->f) {
    finite = finite && std::isfinite(partial) && partial >= 0;
    sum += partial;
  }
  const double max_norm = call.in[1]->f[0], norm = std::sqrt(sum);
  auto& clip = call.out[0]->f;
  if (!finite || !std::isfinite(static_cast<T>(sum)))
    clip = {T(0), T(0), T(0), T(1)};
  else
    clip = {static_cast<T>(max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0), static_cast<T>(norm), T(0),
            T(0)};
}
template void clip_scale<float>(RefCall<float>&);
template void clip_scale<double>(RefCall<double>&);

namespace {
/// Squared draws, as sum_squares gives them.
OpCase sized(std::string name, std::int64_t rows, double max_norm, double damaged = 0) {
  return {.name = std::move(name),
          .inputs = {{.shape = {rows, 256}}, {.shape = {1, 4}}},
          .fill =
              [max_norm, damaged](auto& in, Philox&) {
                for (auto& v : in[0].f) v *= v;
                if (damaged != 0) in[0].f.back() = damaged;
                in[1].f = {max_norm, 0, 0, 0};
              },
          .gradient = false};
}
}  // namespace

std::vector<OpCase> clip_scale_cases() {
  return {sized("clipped_3_rows", 3, 1), sized("not_reached", 2, 1000), sized("no_clipping", 1, 0),
          sized("many_rows", 150, 0.5),  sized("marked", 5, 1, -1),     sized("infinite", 5, 1, INFINITY),
          sized("nan", 5, 1, NAN)};
}

}  // namespace fabula::reference
