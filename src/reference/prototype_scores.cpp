#include "graph/reference.hpp"
#include "reference/softmax_row.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void prototype_scores(RefCall<T>& call) {
  const auto& x = *call.in[0];
  auto& y = *call.out[0];
  const std::int64_t plain = call.attrs.integer("plain"), prototypes = call.attrs.integer("prototypes");
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    for (std::int64_t j = 0; j < plain; ++j) y.at(n, j) = x.at(n, j);
    for (std::int64_t g = 0; g < y.shape.cols - plain; ++g) {
      const auto score = [&](std::int64_t i) { return x.at(n, plain + g * prototypes + i); };
      y.at(n, plain + g) = static_cast<T>(softmax_row(prototypes, score).log_sum_exp);
    }
  }
}
template void prototype_scores<float>(RefCall<float>&);
template void prototype_scores<double>(RefCall<double>&);

namespace {
OpCase scores_case(std::string name, std::int64_t rows, int plain, int groups, int prototypes) {
  return {.name = std::move(name),
          .attrs = {{"plain", double(plain)}, {"prototypes", double(prototypes)}},
          .inputs = {{.shape = {rows, plain + groups * prototypes}}}};
}
}  // namespace

std::vector<OpCase> prototype_scores_cases() {
  OpCase sharp = scores_case("sharp_9x3_5x4", 9, 3, 5, 4);
  sharp.fill = [](auto& in, Philox&) {
    for (double& v : in[0].f) v *= 60;
  };
  sharp.gradient = false;
  OpCase non_finite = scores_case("non_finite_9x3_5x4", 9, 3, 5, 4);  // those scores must say so, and no other
  non_finite.fill = [](auto& in, Philox&) {
    in[0].at(0, 1) = NAN;
    in[0].at(1, 3) = NAN;
    in[0].at(2, 9) = INFINITY;
    in[0].at(8, 22) = -INFINITY;
  };
  non_finite.gradient = false;
  return {scores_case("odd_7x5_11x3", 7, 5, 11, 3),
          scores_case("one", 1, 0, 1, 1),
          scores_case("no_plain_13x0_6x4", 13, 0, 6, 4),
          scores_case("blocks_130x512_221x2", 130, 512, 221, 2),
          scores_case("many_3x1_2x5000", 3, 1, 2, 5000),
          sharp,
          non_finite};
}

}  // namespace fabula::reference
