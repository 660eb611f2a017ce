#include <cmath>

#include "graph/reference.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void prototype_scores_backward(RefCall<T>& call) {
  const auto &x = *call.in[0], &y = *call.in[1], &d_y = *call.in[2];
  auto& d_x = *call.out[0];
  const std::int64_t plain = call.attrs.integer("plain"), prototypes = call.attrs.integer("prototypes");
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    for (std::int64_t j = 0; j < plain; ++j) d_x.at(n, j) = d_y.at(n, j);
    for (std::int64_t j = plain; j < x.shape.cols; ++j) {
      const std::int64_t g = plain + (j - plain) / prototypes;
      d_x.at(n, j) = static_cast<T>(std::exp(static_cast<double>(x.at(n, j)) - y.at(n, g)) * d_y.at(n, g));
    }
  }
}
template void prototype_scores_backward<float>(RefCall<float>&);
template void prototype_scores_backward<double>(RefCall<double>&);

namespace {
OpCase scores_case(std::string name, std::int64_t rows, int plain, int groups, int prototypes) {
  const graph::Shape y{rows, plain + groups};
  OpCase result{.name = std::move(name),
                .attrs = {{"plain", double(plain)}, {"prototypes", double(prototypes)}},
                .inputs = {{.shape = {rows, plain + groups * prototypes}}, {.shape = y}, {.shape = y}}};
  result.fill = [=](auto& in, Philox&) {  // y as the forward pass leaves it
    for (std::int64_t n = 0; n < rows; ++n)
      for (std::int64_t g = 0; g < groups; ++g)
        in[1].at(n, plain + g) = softmax_row(prototypes, [&](std::int64_t i) {
                                   return in[0].at(n, plain + g * prototypes + i);
                                 }).log_sum_exp;
  };
  return result;
}
}  // namespace

std::vector<OpCase> prototype_scores_backward_cases() {
  OpCase non_finite = scores_case("non_finite_9x3_5x4", 9, 3, 5, 4);
  non_finite.fill = [fill = non_finite.fill](auto& in, Philox& random) {
    fill(in, random);
    in[1].at(0, 4) = NAN;  // as the forward pass marks a score
    in[2].at(3, 1) = INFINITY;
    in[2].at(8, 7) = NAN;
  };
  return {scores_case("odd_7x5_11x3", 7, 5, 11, 3), scores_case("one", 1, 0, 1, 1),
          scores_case("no_plain_13x0_6x4", 13, 0, 6, 4), scores_case("blocks_130x512_221x2", 130, 512, 221, 2),
          non_finite};
}

}  // namespace fabula::reference
