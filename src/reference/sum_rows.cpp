#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void sum_rows(RefCall<T>& call) {
  const auto& x = *call.in[0];
  for (std::int64_t col = 0; col < x.shape.cols; ++col) {
    double sum = 0;
    for (std::int64_t row = 0; row < x.shape.rows; ++row) sum += x.at(row, col);
    call.out[0]->at(0, col) = static_cast<T>(sum);
  }
}
template void sum_rows<float>(RefCall<float>&);
template void sum_rows<double>(RefCall<double>&);

std::vector<OpCase> sum_rows_cases() {
  return {
      {.name = "one", .inputs = {{.shape = {1, 1}}}},
      {.name = "odd_7x33", .inputs = {{.shape = {7, 33}}}},
      {.name = "one_chunk_64x5", .inputs = {{.shape = {64, 5}}}},
      {.name = "two_stages_257x130", .inputs = {{.shape = {257, 130}}}},
      {.name = "two_stages_2048x225", .inputs = {{.shape = {2048, 225}}}},
      {.name = "two_stages_16500x3", .inputs = {{.shape = {16500, 3}}}, .large = true},
      {.name = "three_stages_70000x3", .inputs = {{.shape = {70000, 3}}}, .large = true},
      {.name = "wide_3x50257", .inputs = {{.shape = {3, 50257}}}, .large = true},
  };
}

}  // namespace fabula::reference
