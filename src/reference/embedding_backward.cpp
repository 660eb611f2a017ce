#include "reference/embedding_sums.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void embedding_backward(RefCall<T>& call) {
  add_by_id(call.in[0]->u, *call.in[3], *call.out[0]);  // the output is zero at the start
}
template void embedding_backward<float>(RefCall<float>&);
template void embedding_backward<double>(RefCall<double>&);

std::vector<OpCase> embedding_backward_cases() {
  std::vector<OpCase> cases;
  for (const IdCase& c : id_cases()) {
    cases.push_back({.name = c.name,
                     .attrs = {{"rows", static_cast<double>(c.vocabulary)}},
                     .inputs = c.inputs(),
                     .fill = [c](auto& in, Philox& random) { c.fill(in, 0, random); },
                     .relative = 4e-6});
  }
  return cases;
}

}  // namespace fabula::reference
