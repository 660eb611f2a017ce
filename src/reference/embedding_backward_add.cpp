#include "reference/embedding_sums.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void embedding_backward_add(RefCall<T>& call) {
  add_by_id(call.in[1]->u, *call.in[4], *call.in[0]);  // the table holds what its other uses gave
}
template void embedding_backward_add<float>(RefCall<float>&);
template void embedding_backward_add<double>(RefCall<double>&);

std::vector<OpCase> embedding_backward_add_cases() {
  std::vector<OpCase> cases;
  for (const IdCase& c : id_cases()) {
    std::vector<OpCase::Input> inputs = c.inputs();
    inputs.insert(inputs.begin(), {.shape = {c.vocabulary, c.columns}});
    cases.push_back({.name = c.name,
                     .inputs = std::move(inputs),
                     .fill = [c](auto& in, Philox& random) { c.fill(in, 1, random); },
                     .relative = 4e-6});
  }
  return cases;
}

}  // namespace fabula::reference
