#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void add_position_backward(RefCall<T>& call) {
  const auto& d_y = *call.in[0];
  auto& d_table = *call.out[0];
  const std::int64_t sequence = call.attrs.integer("sequence");
  for (std::int64_t t = 0; t < sequence; ++t) {
    for (std::int64_t c = 0; c < d_y.shape.cols; ++c) {
      double sum = 0;
      for (std::int64_t n = t; n < d_y.shape.rows; n += sequence) sum += d_y.at(n, c);
      d_table.at(t, c) = static_cast<T>(sum);
    }
  }
}
template void add_position_backward<float>(RefCall<float>&);
template void add_position_backward<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t batch, std::int64_t sequence, std::int64_t table_rows,
             std::int64_t columns) {
  return {.name = std::move(name),
          .attrs = {{"sequence", static_cast<double>(sequence)}, {"rows", static_cast<double>(table_rows)}},
          .inputs = {{.shape = {batch * sequence, columns}}}};
}
}  // namespace

std::vector<OpCase> add_position_backward_cases() {
  return {sized("odd_3x11x33", 3, 11, 16, 33), sized("one", 1, 1, 1, 1), sized("whole_table", 9, 70, 70, 6),
          sized("single_position", 300, 1, 9, 13)};
}

}  // namespace fabula::reference
