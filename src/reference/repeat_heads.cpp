#include "graph/reference.hpp"

namespace fabula::reference {
using graph::OpCase;
using graph::RefCall;

template <class T>
void repeat_heads(RefCall<T>& call) {
  const auto& x = *call.in[0];
  auto& y = *call.out[0];
  const std::int64_t heads = call.attrs.integer("heads"), repeats = call.attrs.integer("repeats");
  const std::int64_t size = x.shape.cols / heads;
  for (std::int64_t n = 0; n < x.shape.rows; ++n)
    for (std::int64_t head = 0; head < heads * repeats; ++head)
      for (std::int64_t i = 0; i < size; ++i) y.at(n, head * size + i) = x.at(n, head / repeats * size + i);
}
template void repeat_heads<float>(RefCall<float>&);
template void repeat_heads<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t rows, std::int64_t heads, std::int64_t size, std::int64_t repeats) {
  return {.name = std::move(name),
          .attrs = {{"heads", double(heads)}, {"repeats", double(repeats)}},
          .inputs = {{.shape = {rows, heads * size}}}};
}
}  // namespace

std::vector<OpCase> repeat_heads_cases() {
  return {sized("odd_7_heads3x5_twice", 7, 3, 5, 2), sized("whole_9_heads2x8_three_times", 9, 2, 8, 3),
          sized("once_5_heads2x6", 5, 2, 6, 1), sized("one_head_1x1_five_times", 1, 1, 1, 5),
          sized("blocks_131_heads2x16_four_times", 131, 2, 16, 4)};
}

}  // namespace fabula::reference
