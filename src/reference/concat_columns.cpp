#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void concat_columns(RefCall<T>& call) {
  std::int64_t first = 0;
  for (const auto* x : call.in) {
    if (!x) continue;
    for (std::int64_t r = 0; r < x->shape.rows; ++r)
      for (std::int64_t c = 0; c < x->shape.cols; ++c) call.out[0]->at(r, first + c) = x->at(r, c);
    first += x->shape.cols;
  }
}
template void concat_columns<float>(RefCall<float>&);
template void concat_columns<double>(RefCall<double>&);

std::vector<OpCase> concat_columns_cases() {
  return {{.name = "odd_7x33_5_64_1",
           .inputs = {{.shape = {7, 33}}, {.shape = {7, 5}}, {.shape = {7, 64}}, {.shape = {7, 1}}}},
          {.name = "single_3x6", .inputs = {{.shape = {3, 6}}}},
          {.name = "one_and_one", .inputs = {{.shape = {1, 1}}, {.shape = {1, 1}}}},
          {.name = "blocks_131x70_and_130", .inputs = {{.shape = {131, 70}}, {.shape = {131, 130}}}},
          {.name = "vocabulary_3x512_49745", .inputs = {{.shape = {3, 512}}, {.shape = {3, 49745}}}}};
}

}  // namespace fabula::reference
