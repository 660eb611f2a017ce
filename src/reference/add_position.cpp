#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void add_position(RefCall<T>& call) {
  const auto &x = *call.in[0], &table = *call.in[1];
  auto& y = *call.out[0];
  const std::int64_t sequence = call.attrs.integer("sequence");
  for (std::int64_t n = 0; n < x.shape.rows; ++n) {
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      y.at(n, c) = static_cast<T>(static_cast<double>(x.at(n, c)) + table.at(n % sequence, c));
    }
  }
}
template void add_position<float>(RefCall<float>&);
template void add_position<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t batch, std::int64_t sequence, std::int64_t table_rows,
             std::int64_t columns) {
  return {.name = std::move(name),
          .attrs = {{"sequence", static_cast<double>(sequence)}},
          .inputs = {{.shape = {batch * sequence, columns}}, {.shape = {table_rows, columns}}}};
}
}  // namespace

std::vector<OpCase> add_position_cases() {
  return {sized("odd_3x11x33", 3, 11, 16, 33), sized("one", 1, 1, 1, 1), sized("whole_table", 2, 70, 70, 6),
          sized("single_position", 5, 1, 9, 13)};
}

}  // namespace fabula::reference
