#include <algorithm>
#include <cmath>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void dropout(RefCall<T>& call) {
  const auto& x = *call.in[0];
  const auto& seed = call.in[1]->u;  // key low, key high, step low, step high
  auto& y = *call.out[0];
  const double p = call.attrs.get("p");
  const auto threshold = static_cast<std::uint32_t>(std::min(std::round(p * 0x1p32), 0x1p32 - 1));
  const auto stream = static_cast<std::uint32_t>(call.attrs.integer("stream"));
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      const auto block = static_cast<std::uint32_t>(n * (x.shape.ld() / 4) + c / 4);  // of the padded value
      const auto draw = philox4x32({block, stream, seed[2], seed[3]}, {seed[0], seed[1]});
      const bool keep = draw[static_cast<std::size_t>(c % 4)] >= threshold;
      const double residual = call.in[2] ? static_cast<double>(call.in[2]->at(n, c)) : 0.0;
      y.at(n, c) = static_cast<T>(residual + (keep ? x.at(n, c) / (1 - p) : 0.0));
    }
  }
}
template void dropout<float>(RefCall<float>&);
template void dropout<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t rows, std::int64_t columns, double p, bool residual) {
  return {.name = std::move(name),
          .attrs = {{"p", p}, {"stream", 5}},
          .inputs = {{.shape = {rows, columns}},
                     {.shape = {1, 4}, .dtype = graph::DType::kU32},
                     {.shape = {rows, columns}, .present = residual}},
          .fill =
              [](auto& in, Philox& random) {
                for (auto& word : in[1].u) word = random.next();
              },
          .relative = 1e-6,
          .absolute = 1e-7};
}
}  // namespace

std::vector<OpCase> dropout_cases() {
  OpCase identity = sized("p_zero_is_the_identity", 6, 21, 0, false);
  identity.relative = 0;
  identity.absolute = 1e-12;
  // An x of 0.9 gives 1 where it is kept and 0 elsewhere: a wrong mask cannot hide in the tolerance.
  OpCase mask = sized("mask_129x70", 129, 70, 0.1, false);
  mask.fill = [](auto& in, Philox& random) {
    for (auto& v : in[0].f) v = 0.9;
    for (auto& word : in[1].u) word = random.next();
  };
  mask.gradient = false;
  return {identity,
          mask,
          sized("odd_7x33", 7, 33, 0.25, false),
          sized("residual_7x33", 7, 33, 0.25, true),
          sized("one", 1, 1, 0.5, true),
          sized("nearly_all_dropped", 20, 30, 0.97, true)};
}

}  // namespace fabula::reference
