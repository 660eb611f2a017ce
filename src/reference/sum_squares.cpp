#include <algorithm>
#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

/// Partial j is the sum of the chunks j, j + 256, ...; a chunk is up to 4096 words (padding included) of one unit of 64
/// rows.
template <class T>
void sum_squares(RefCall<T>& call) {
  const auto& x = *call.in[0];
  auto& norms = *call.in[1];
  const std::int64_t ld = x.shape.ld(), chunk_words = 4096, unit_rows = 64, row = call.attrs.integer("row");
  const std::int64_t parts = (std::min(x.shape.rows, unit_rows) * ld + chunk_words - 1) / chunk_words;
  double partials[256] = {};
  bool nonfinite[256] = {};
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      const double v = x.at(n, c);
      const std::int64_t chunk = n / unit_rows * parts + (n % unit_rows * ld + c) / chunk_words;
      partials[chunk % 256] += v * v;
      nonfinite[chunk % 256] = nonfinite[chunk % 256] || !std::isfinite(v);
    }
  }
  for (std::int64_t j = 0; j < 256; ++j) {
    const T sum = static_cast<T>(partials[j]);
    norms.at(row, j) = nonfinite[j] || !std::isfinite(sum) ? T(-1) : sum;
  }
}
template void sum_squares<float>(RefCall<float>&);
template void sum_squares<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t rows, std::int64_t columns) {
  return {.name = std::move(name),
          .attrs = {{"row", 1}},
          .inputs = {{.shape = {rows, columns}}, {.shape = {3, 256}}},
          .gradient = false};
}
}  // namespace

std::vector<OpCase> sum_squares_cases() {
  std::vector<OpCase> cases{sized("odd_7x33", 7, 33), sized("one", 1, 1), sized("chunks_130x257", 130, 257),
                            sized("wide_2x8191", 2, 8191), sized("narrow_5000x3", 5000, 3)};
  cases.push_back(sized("folded_4200x520", 4200, 520));  // more than 256 chunks
  cases.push_back(sized("infinity_and_nan", 300, 130));
  cases.back().fill = [](auto& in, Philox&) {
    in[0].f[20] = INFINITY;
    in[0].f[20000] = -INFINITY;
    in[0].f[30000] = NAN;
    in[0].f[38999] = 3e19;  // finite, but its square is not
  };
  cases.push_back(sized("nan_in_a_folded_sum", 4200, 520));
  cases.back().fill = [](auto& in, Philox&) { in[0].f[2000000] = NAN; };
  cases.push_back(sized("long_70000x400", 70000, 400));
  cases.back().large = true;
  return cases;
}

}  // namespace fabula::reference
