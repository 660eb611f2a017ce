#include "reference/stored_table.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

namespace {
enum Input : std::size_t { kTable, kScales, kIds };
}  // namespace

template <class T>
void expand(RefCall<T>& call) {
  const auto& table = *call.in[kTable];
  auto& y = *call.out[0];
  for (std::int64_t n = 0; n < y.shape.rows; ++n) {
    const std::int64_t row = call.in[kIds] ? std::int64_t{call.in[kIds]->u[static_cast<std::size_t>(n)]} : n;
    for (std::int64_t c = 0; c < y.shape.cols && row < table.shape.rows; ++c)
      y.at(n, c) = static_cast<T>(stored_entry(table, call.in[kScales], row, c));
  }
}
template void expand<float>(RefCall<float>&);
template void expand<double>(RefCall<double>&);

namespace {
/// `ids` of them; 0: all rows are asked for.
OpCase sized(std::string name, std::int64_t rows, std::int64_t columns, std::int64_t ids = 0, int out = 0,
             StoredAs stored = DType::kI8) {
  return {.name = std::move(name),
          .attrs = {{"out", double(out)}},
          .inputs = {{.shape = {rows, columns}, .dtype = stored.dtype},
                     scales_input({rows, columns}, stored),
                     {.shape = {1, std::max<std::int64_t>(ids, 1)}, .dtype = DType::kU32, .present = ids > 0}},
          .fill =
              [rows](auto& in, Philox& random) {
                fill_stored_table(in[kTable], in[kScales], random);
                for (auto& id : in[kIds].u) id = random.below(static_cast<std::uint32_t>(rows));
                if (in[kIds].u.size() > 1) in[kIds].u.back() = static_cast<std::uint32_t>(rows);  // no such row
              },
          .relative = 1e-6};
}
}  // namespace

std::vector<OpCase> expand_cases() {
  return {sized("one", 1, 1),
          sized("odd_13x77", 13, 77),
          sized("wide_70x513", 70, 513),
          sized("ids_one", 1, 1, 1),
          sized("ids_21x130x77", 130, 77, 21),
          sized("ids_300x9x40", 9, 40, 300),
          sized("ids_100x300x77", 300, 77, 100),
          sized("fp16_20x100", 20, 100, 0, 1),
          sized("bf16_ids_5x33x70", 33, 70, 5, 2),
          sized("u4_one", 1, 1, 0, 0, DType::kU4),
          sized("u4_offsets_one", 1, 1, 1, 0, {DType::kU4, true}),
          sized("u4_odd_13x77", 13, 77, 0, 0, DType::kU4),
          sized("u4_offsets_odd_13x99", 13, 99, 0, 0, {DType::kU4, true}),
          sized("u4_offsets_ids_21x130x172", 130, 172, 21, 0, {DType::kU4, true}),
          sized("u4_fp16_20x100", 20, 100, 0, 1, DType::kU4)};
}

}  // namespace fabula::reference
