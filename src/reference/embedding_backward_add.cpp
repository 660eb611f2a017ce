#include "base/segments.hpp"
#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void embedding_backward_add(RefCall<T>& call) {
  const auto& ids = call.in[1]->u;
  const auto& d_y = *call.in[4];
  auto& d_table = *call.in[0];
  std::vector<double> sum(d_table.f.begin(), d_table.f.end());  // what other uses of the table gave
  for (std::int64_t n = 0; n < d_y.shape.rows; ++n) {
    const std::int64_t id = ids[static_cast<std::size_t>(n)];
    if (id >= d_table.shape.rows) continue;
    for (std::int64_t c = 0; c < d_y.shape.cols; ++c)
      sum[static_cast<std::size_t>(id * d_y.shape.cols + c)] += d_y.at(n, c);
  }
  for (std::size_t i = 0; i < sum.size(); ++i) d_table.f[i] = static_cast<T>(sum[i]);
}
template void embedding_backward_add<float>(RefCall<float>&);
template void embedding_backward_add<double>(RefCall<double>&);

namespace {
/// `frequent`: of 10 positions, how many have id 1.
OpCase sized(std::string name, std::int64_t positions, std::int64_t vocabulary, std::int64_t columns,
             std::uint32_t frequent) {
  const auto word = graph::DType::kU32;
  return {.name = std::move(name),
          .inputs = {{.shape = {vocabulary, columns}},
                     {.shape = {1, positions}, .dtype = word},
                     {.shape = {1, positions}, .dtype = word},
                     {.shape = {1, SegmentCapacity{positions, vocabulary}.words()}, .dtype = word},
                     {.shape = {positions, columns}}},
          .fill =
              [vocabulary, frequent](auto& in, Philox& random) {
                auto& ids = in[1].u;
                // One id more than the table has rows: those positions add nothing.
                for (auto& id : ids)
                  id = random.below(10) < frequent ? 1 : random.below(static_cast<std::uint32_t>(vocabulary) + 1);
                SegmentPlan plan = plan_segments(ids, vocabulary);
                in[2].u = plan.order;
                in[3].u = plan.segments;
              },
          .relative = 4e-6};
}
}  // namespace

std::vector<OpCase> embedding_backward_add_cases() {
  return {sized("odd_37x11x33", 37, 11, 33, 2),        sized("one", 1, 1, 1, 0),
          sized("frequent_1500x7x18", 1500, 7, 18, 8), sized("exactly_one_chunk_64", 64, 2, 5, 10),
          sized("just_two_chunks_65", 65, 2, 5, 10),   sized("wide_70x200x513", 70, 200, 513, 3)};
}

}  // namespace fabula::reference
