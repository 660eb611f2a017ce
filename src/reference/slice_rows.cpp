#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void slice_rows(RefCall<T>& call) {
  const std::int64_t begin = call.attrs.integer("begin");
  for (std::int64_t r = 0; r < call.out[0]->shape.rows; ++r)
    for (std::int64_t c = 0; c < call.out[0]->shape.cols; ++c) call.out[0]->at(r, c) = call.in[0]->at(begin + r, c);
}
template void slice_rows<float>(RefCall<float>&);
template void slice_rows<double>(RefCall<double>&);

std::vector<OpCase> slice_rows_cases() {
  return {{.name = "middle_of_17x33", .attrs = {{"begin", 5}, {"count", 7}}, .inputs = {{.shape = {17, 33}}}},
          {.name = "one", .attrs = {{"begin", 0}, {"count", 1}}, .inputs = {{.shape = {1, 1}}}},
          {.name = "blocks_of_331x70", .attrs = {{"begin", 67}, {"count", 264}}, .inputs = {{.shape = {331, 70}}}}};
}

}  // namespace fabula::reference
