#include "graph/reference.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

template <class T>
void cast(RefCall<T>& call) {
  call.out[0]->f = call.in[0]->f;
}
template void cast<float>(RefCall<float>&);
template void cast<double>(RefCall<double>&);

std::vector<OpCase> cast_cases() {
  const auto make = [](const char* name, graph::Shape shape, DType from, DType to) {
    return OpCase{.name = name,
                  .attrs = {{"out", double(graph::storage_code(to))}},
                  .inputs = {{.shape = shape, .dtype = from}},
                  .relative = 0,
                  .absolute = 1e-30};
  };
  std::vector<OpCase> cases{
      make("fp32_to_fp16_7x33", {7, 33}, DType::kF32, DType::kF16),
      make("fp16_to_fp32_7x33", {7, 33}, DType::kF16, DType::kF32),
      make("fp32_to_bf16_5x12", {5, 12}, DType::kF32, DType::kBF16),
      make("bf16_to_fp32_5x12", {5, 12}, DType::kBF16, DType::kF32),
      make("bf16_to_fp16_1x1", {1, 1}, DType::kBF16, DType::kF16),
      make("fp32_to_fp32_3x5", {3, 5}, DType::kF32, DType::kF32),
  };
  // Subnormal numbers of fp16, its largest one, and what is beyond: infinite, and never the largest finite number.
  OpCase edges = make("edges_of_fp16", {1, 12}, DType::kF32, DType::kF16);
  edges.fill = [](auto& in, Philox&) {
    in[0].f = {0, -0.0, 0x1p-24, 0x1p-14, -3.1e-6, 65504, 65536, -1e6, 3e38, -65504, 1e-10, 70000};
  };
  edges.gradient = false;
  cases.push_back(edges);
  return cases;
}

}  // namespace fabula::reference
