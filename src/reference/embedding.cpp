#include "base/segments.hpp"
#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void embedding(RefCall<T>& call) {
  const auto& ids = call.in[0]->u;
  const auto& table = *call.in[1];
  auto& y = *call.out[0];
  for (std::int64_t n = 0; n < y.shape.rows; ++n) {
    const std::int64_t id = ids[static_cast<std::size_t>(n)];
    for (std::int64_t c = 0; c < y.shape.cols; ++c) y.at(n, c) = id < table.shape.rows ? table.at(id, c) : T(0);
  }
}
template void embedding<float>(RefCall<float>&);
template void embedding<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t positions, std::int64_t vocabulary, std::int64_t columns) {
  const std::int64_t words = SegmentCapacity{positions, vocabulary}.words();
  return {.name = std::move(name),
          .inputs = {{.shape = {1, positions}, .dtype = graph::DType::kU32},
                     {.shape = {vocabulary, columns}},
                     {.shape = {1, positions}, .dtype = graph::DType::kU32},
                     {.shape = {1, words}, .dtype = graph::DType::kU32}},
          .fill =
              [vocabulary](auto& in, Philox& random) {
                for (auto& id : in[0].u) id = random.below(1 + random.below(static_cast<std::uint32_t>(vocabulary)));
                in[0].u.back() = static_cast<std::uint32_t>(vocabulary);  // beyond the table: a zero row
                SegmentPlan plan = plan_segments(in[0].u, vocabulary);
                in[2].u = plan.order;
                in[3].u = plan.segments;
              },
          .relative = 0,
          .absolute = 1e-12};  // a copy is exact
}
}  // namespace

std::vector<OpCase> embedding_cases() {
  OpCase no_plan = sized("forward_only", 9, 5, 6);
  no_plan.inputs[2].present = no_plan.inputs[3].present = false;
  no_plan.fill = [](auto& in, Philox& random) {
    for (auto& id : in[0].u) id = random.below(5);
  };
  no_plan.gradient = false;
  // Results in 16 bits of a table in fp32: attribute `out`.
  OpCase fp16 = sized("fp16_37x11x33", 37, 11, 33), bf16 = sized("bf16_70x20x12", 70, 20, 12);
  fp16.attrs = {{"out", 1}};
  bf16.attrs = {{"out", 2}};
  // Of a table that is stored in 16 bits: for inference alone.
  OpCase half_table = no_plan, bf16_table = no_plan;
  half_table.name = "fp16_table", bf16_table.name = "bf16_table_to_fp16";
  half_table.inputs[1].dtype = graph::DType::kF16, bf16_table.inputs[1].dtype = graph::DType::kBF16;
  bf16_table.attrs = {{"out", 1}};
  return {sized("odd_37x11x33", 37, 11, 33),
          sized("one", 1, 1, 1),
          sized("frequent_300x3x5", 300, 3, 5),
          sized("wide_70x200x513", 70, 200, 513),
          no_plan,
          half_table,
          bf16_table,
          fp16,
          bf16};
}

}  // namespace fabula::reference
