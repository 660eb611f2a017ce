#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

template <class T>
void rotary(RefCall<T>& call) {
  const auto &x = *call.in[0], &angles = *call.in[1];
  auto& y = *call.out[0];
  const std::int64_t heads = call.attrs.integer("heads"), size = x.shape.cols / heads, half = size / 2;
  const double sign = call.attrs.integer_or("inverse", 0) ? -1 : 1;
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    const std::int64_t position =
        call.in[2] ? call.in[2]->u[static_cast<std::size_t>(n)] : n % call.attrs.integer("sequence");
    for (std::int64_t head = 0; head < heads; ++head) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double cosine = angles.at(position, i), sine = sign * angles.at(position, half + i);
        const double a = x.at(n, head * size + i), b = x.at(n, head * size + half + i);
        y.at(n, head * size + i) = static_cast<T>(a * cosine - b * sine);
        y.at(n, head * size + half + i) = static_cast<T>(b * cosine + a * sine);
      }
    }
  }
}
template void rotary<float>(RefCall<float>&);
template void rotary<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t batch, std::int64_t sequence, std::int64_t table_rows, std::int64_t heads,
             std::int64_t size, bool inverse = false, bool positions = false) {
  const std::int64_t rows = batch * sequence;
  return {.name = std::move(name),
          .attrs = {{"heads", double(heads)}, {"sequence", double(sequence)}, {"inverse", inverse ? 1.0 : 0.0}},
          .inputs = {{.shape = {rows, heads * size}},
                     {.shape = {table_rows, size}},
                     {.shape = {1, rows}, .dtype = DType::kU32, .present = positions}},
          .fill = [](auto& in, Philox& random) {
            auto& angles = in[1];
            const std::int64_t half = angles.shape.cols / 2;
            for (std::int64_t p = 0; p < angles.shape.rows; ++p)
              for (std::int64_t i = 0; i < half; ++i) {
                const double angle = double(p) * std::pow(10000.0, -double(i) / double(half));
                angles.at(p, i) = static_cast<float>(std::cos(angle));
                angles.at(p, half + i) = static_cast<float>(std::sin(angle));
              }
            for (auto& position : in[2].u) position = random.below(std::uint32_t(angles.shape.rows));
          }};
}
}  // namespace

std::vector<OpCase> rotary_cases() {
  return {sized("odd_3x11_heads3x6", 3, 11, 16, 3, 6),
          sized("pairs_2x7_heads2x16", 2, 7, 9, 2, 16),
          sized("smallest_1x1_heads1x2", 1, 1, 1, 1, 2),
          sized("inverse_2x5_heads5x8", 2, 5, 5, 5, 8, true),
          sized("inverse_2x5_heads3x10", 2, 5, 6, 3, 10, true),
          sized("positions_1x13_heads2x8", 1, 13, 40, 2, 8, false, true),
          sized("positions_inverse_1x9_heads1x4", 1, 9, 33, 1, 4, true, true),
          sized("blocks_2x100_heads4x32", 2, 100, 130, 4, 32)};
}

}  // namespace fabula::reference
