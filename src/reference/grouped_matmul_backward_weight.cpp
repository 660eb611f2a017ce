#include "reference/grouped_matmul.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void grouped_matmul_backward_weight(RefCall<T>& call) {
  const auto &d_z = *call.in[0], &x = *call.in[1];
  const auto& rows = call.in[2]->u;
  const std::int64_t slots = d_z.shape.cols, depth = x.shape.cols;
  std::vector<double> d_weight(call.out[0]->f.size()), d_shift(call.out[1]->f.size());
  for_each_grouped(call.in[3]->u, {d_z.shape.rows, call.attrs.integer("groups")},
                   [&](std::int64_t n, std::int64_t group, std::int64_t real_slots, std::int64_t) {
                     for (std::int64_t s = 0; s < real_slots; ++s) {
                       const std::int64_t row = rows[std::size_t(group * slots + s)];
                       d_shift[std::size_t(group * slots + s)] += d_z.at(n, s);
                       for (std::int64_t k = 0; k < depth; ++k)
                         d_weight[std::size_t(row * depth + k)] += double(d_z.at(n, s)) * double(x.at(n, k));
                     }
                   });
  for (std::size_t i = 0; i < d_weight.size(); ++i) call.out[0]->f[i] = static_cast<T>(d_weight[i]);
  for (std::size_t i = 0; i < d_shift.size(); ++i) call.out[1]->f[i] = static_cast<T>(d_shift[i]);
}
template void grouped_matmul_backward_weight<float>(RefCall<float>&);
template void grouped_matmul_backward_weight<double>(RefCall<double>&);

std::vector<OpCase> grouped_matmul_backward_weight_cases() {
  std::vector<OpCase> cases;
  for (const GroupedCase& c : grouped_matmul_case_list()) {
    cases.push_back({.name = c.name,
                     .attrs = {{"groups", double(c.groups)}, {"weight_rows", double(c.weight_rows())}},
                     .inputs = {{.shape = {c.positions, c.slots}},
                                {.shape = {c.positions, c.depth}},
                                c.rows_input(),
                                c.plan_input()},
                     .fill =
                         [c](auto& in, Philox& random) {
                           c.fill(in[2].u, in[3].u, random);
                           c.poison(in[0], in[3].u);
                         },
                     .relative = 4e-6});
  }
  return cases;
}

}  // namespace fabula::reference
