#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void mean_loss_backward(RefCall<T>& call) {
  for (T& d_loss : call.out[0]->f) d_loss = call.in[0]->f[0] * call.in[1]->f[0];
}
template void mean_loss_backward<float>(RefCall<float>&);
template void mean_loss_backward<double>(RefCall<double>&);

std::vector<OpCase> mean_loss_backward_cases() {
  std::vector<OpCase> cases;
  for (const double positions : {1.0, 77.0, 4099.0}) {
    cases.push_back({.name = "positions_" + std::to_string(int(positions)),
                     .attrs = {{"columns", positions}},
                     .inputs = {{.shape = {1, 4}}, {.shape = {1, 1}}}});
  }
  return cases;
}

}  // namespace fabula::reference
