#include "reference/attention.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void attention(RefCall<T>& call) {
  attend<T>(AttentionView<T>(call.attrs, call.in[0], call.in[1], call.in[2]), *call.out[0], *call.out[1]);
}
template void attention<float>(RefCall<float>&);
template void attention<double>(RefCall<double>&);

std::vector<OpCase> attention_cases() {
  std::vector<OpCase> cases;
  for (const AttentionCase& c : attention_configurations()) cases.push_back(attention_case(c));
  return cases;
}

}  // namespace fabula::reference
