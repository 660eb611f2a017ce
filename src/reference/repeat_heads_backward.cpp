#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void repeat_heads_backward(RefCall<T>& call) {
  const auto& d_y = *call.in[0];
  auto& d_x = *call.out[0];
  const std::int64_t heads = call.attrs.integer("heads"), repeats = call.attrs.integer("repeats");
  const std::int64_t size = d_x.shape.cols / heads;
  for (std::int64_t n = 0; n < d_x.shape.rows; ++n)
    for (std::int64_t head = 0; head < heads; ++head)
      for (std::int64_t i = 0; i < size; ++i) {
        double sum = 0;
        for (std::int64_t r = 0; r < repeats; ++r) sum += d_y.at(n, (head * repeats + r) * size + i);
        d_x.at(n, head * size + i) = static_cast<T>(sum);
      }
}
template void repeat_heads_backward<float>(RefCall<float>&);
template void repeat_heads_backward<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t rows, std::int64_t heads, std::int64_t size, std::int64_t repeats) {
  return {.name = std::move(name),
          .attrs = {{"heads", double(heads)}, {"repeats", double(repeats)}},
          .inputs = {{.shape = {rows, heads * repeats * size}}}};
}
}  // namespace

std::vector<OpCase> repeat_heads_backward_cases() {
  return {sized("odd_7_heads3x5_twice", 7, 3, 5, 2), sized("whole_9_heads2x8_three_times", 9, 2, 8, 3),
          sized("once_5_heads2x6", 5, 2, 6, 1), sized("one_head_1x1_five_times", 1, 1, 1, 5),
          sized("blocks_131_heads2x16_four_times", 131, 2, 16, 4)};
}

}  // namespace fabula::reference
