#include <algorithm>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void concat_rows(RefCall<T>& call) {
  auto& y = call.out[0]->f;
  std::copy(call.in[1]->f.begin(), call.in[1]->f.end(),
            std::copy(call.in[0]->f.begin(), call.in[0]->f.end(), y.begin()));
}
template void concat_rows<float>(RefCall<float>&);
template void concat_rows<double>(RefCall<double>&);

std::vector<OpCase> concat_rows_cases() {
  return {{.name = "odd_5x33_and_7", .inputs = {{.shape = {5, 33}}, {.shape = {7, 33}}}},
          {.name = "one", .inputs = {{.shape = {1, 1}}, {.shape = {1, 1}}}},
          {.name = "blocks_130x70_and_201", .inputs = {{.shape = {130, 70}}, {.shape = {201, 70}}}}};
}

}  // namespace fabula::reference
