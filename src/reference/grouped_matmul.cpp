#include "reference/grouped_matmul.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void grouped_matmul(RefCall<T>& call) {
  const auto &x = *call.in[0], &weight = *call.in[1];
  const auto& rows = call.in[2]->u;
  const auto* shift = call.in[3];
  auto& z = *call.out[0];
  const std::int64_t slots = z.shape.cols;
  for_each_grouped(call.in[4]->u, {x.shape.rows, call.attrs.integer("groups")},
                   [&](std::int64_t n, std::int64_t group, std::int64_t real_slots, std::int64_t) {
                     for (std::int64_t s = 0; s < real_slots; ++s) {
                       const std::int64_t row = rows[std::size_t(group * slots + s)];
                       double sum = shift ? double(shift->at(group, s)) : 0.0;
                       for (std::int64_t k = 0; k < x.shape.cols; ++k)
                         sum += double(x.at(n, k)) * double(weight.at(row, k));
                       z.at(n, s) = static_cast<T>(sum);
                     }
                   });
}
template void grouped_matmul<float>(RefCall<float>&);
template void grouped_matmul<double>(RefCall<double>&);

std::vector<OpCase> grouped_matmul_cases() {
  std::vector<OpCase> cases;
  for (const GroupedCase& c : grouped_matmul_case_list()) {
    cases.push_back({.name = c.name,
                     .attrs = {{"groups", double(c.groups)}},
                     .inputs = {{.shape = {c.positions, c.depth}},
                                {.shape = {c.weight_rows(), c.depth}},
                                c.rows_input(),
                                {.shape = {c.groups, c.slots}, .present = c.shift},
                                c.plan_input()},
                     .fill = [c](auto& in, Philox& random) { c.fill(in[2].u, in[4].u, random); },
                     .gradient = c.positions * c.depth < 4000 && c.weight_rows() * c.depth < 4000});
  }
  return cases;
}

}  // namespace fabula::reference
