#include <numeric>
#include <utility>

#include "graph/reference.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

template <class T>
void permute_rows(RefCall<T>& call) {
  const auto& x = *call.in[0];
  for (std::int64_t n = 0; n < x.shape.rows; ++n)
    for (std::int64_t k = 0; k < x.shape.cols; ++k) call.out[0]->at(n, k) = x.at(call.in[1]->u[n], k);
}
template void permute_rows<float>(RefCall<float>&);
template void permute_rows<double>(RefCall<double>&);

namespace {
OpCase permutation_case(std::string name, graph::Shape x) {
  OpCase result{
      .name = std::move(name),
      .inputs = {
          {.shape = x}, {.shape = {1, x.rows}, .dtype = DType::kU32}, {.shape = {1, x.rows}, .dtype = DType::kU32}}};
  result.fill = [](auto& in, Philox& random) {
    std::vector<std::uint32_t>& order = in[1].u;
    std::iota(order.begin(), order.end(), 0u);
    for (std::size_t left = order.size(); left > 1; --left)
      std::swap(order[left - 1], order[random.below(static_cast<std::uint32_t>(left))]);
    for (std::size_t i = 0; i < order.size(); ++i) in[2].u[order[i]] = static_cast<std::uint32_t>(i);
  };
  return result;
}
}  // namespace

std::vector<OpCase> permute_rows_cases() {
  return {permutation_case("odd_37x11", {37, 11}), permutation_case("one", {1, 1}),
          permutation_case("tall_700x3", {700, 3})};
}

}  // namespace fabula::reference
