#include "reference/grouped_matmul.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void grouped_matmul_backward_x(RefCall<T>& call) {
  const auto &d_z = *call.in[0], &weight = *call.in[1];
  const auto& rows = call.in[2]->u;
  auto& d_x = *call.out[0];
  const std::int64_t slots = d_z.shape.cols, groups = std::int64_t(rows.size()) / slots;
  for_each_grouped(call.in[3]->u, {d_z.shape.rows, groups},
                   [&](std::int64_t n, std::int64_t group, std::int64_t real_slots, std::int64_t) {
                     for (std::int64_t k = 0; k < d_x.shape.cols; ++k) {
                       double sum = 0;
                       for (std::int64_t s = 0; s < real_slots; ++s)
                         sum += double(d_z.at(n, s)) * double(weight.at(rows[std::size_t(group * slots + s)], k));
                       d_x.at(n, k) = static_cast<T>(sum);
                     }
                   });
}
template void grouped_matmul_backward_x<float>(RefCall<float>&);
template void grouped_matmul_backward_x<double>(RefCall<double>&);

std::vector<OpCase> grouped_matmul_backward_x_cases() {
  std::vector<OpCase> cases;
  for (const GroupedCase& c : grouped_matmul_case_list()) {
    cases.push_back({.name = c.name,
                     .inputs = {{.shape = {c.positions, c.slots}},
                                {.shape = {c.weight_rows(), c.depth}},
                                c.rows_input(),
                                c.plan_input()},
                     .fill =
                         [c](auto& in, Philox& random) {
                           c.fill(in[2].u, in[3].u, random);
                           c.poison(in[0], in[3].u);
                         },
                     .relative = c.slots > 1000 ? 4e-6 : 2e-6});
  }
  return cases;
}

}  // namespace fabula::reference
