#include "base/decode_slot.hpp"
#include "reference/stored_table.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;

namespace {
enum Input : std::size_t { kX, kPlaces, kRowOf, kTable, kScales };
}  // namespace

template <class T>
void add_class_vectors(RefCall<T>& call) {
  const auto &x = *call.in[kX], &table = *call.in[kTable];
  const auto &places = call.in[kPlaces]->u, &row_of = call.in[kRowOf]->u;
  auto& y = *call.out[0];
  for (std::int64_t r = 0; r < x.shape.rows; ++r) {
    const std::uint32_t token = places[static_cast<std::size_t>(r) * kPlaceWords + kPlaceToken];
    const std::int64_t row = token < row_of.size() ? row_of[token] : table.shape.rows;
    for (std::int64_t c = 0; c < x.shape.cols; ++c) {
      const double added = row < table.shape.rows ? stored_entry(table, call.in[kScales], row, c) : 0;
      y.at(r, c) = static_cast<T>(static_cast<double>(x.at(r, c)) + added);
    }
  }
}
template void add_class_vectors<float>(RefCall<float>&);
template void add_class_vectors<double>(RefCall<double>&);

namespace {
OpCase sized(std::string name, std::int64_t rows, std::int64_t vocabulary, std::int64_t classes, std::int64_t columns,
             StoredAs table = DType::kF32) {
  return {.name = std::move(name),
          .inputs = {{.shape = {rows, columns}},
                     {.shape = {1, kPlaceWords * rows}, .dtype = DType::kU32},
                     {.shape = {1, vocabulary}, .dtype = DType::kU32},
                     {.shape = {classes, columns}, .dtype = table.dtype},
                     scales_input({classes, columns}, table)},
          .fill =
              [=](auto& in, Philox& random) {
                for (std::uint32_t& row : in[kRowOf].u)  // one in four without
                  row = random.below(4) == 0 ? kNoToken : random.below(static_cast<std::uint32_t>(classes));
                for (std::int64_t r = 0; r < rows; ++r)
                  in[kPlaces].u[static_cast<std::size_t>(r) * kPlaceWords + kPlaceToken] =
                      r == 1 ? kNoToken : random.below(static_cast<std::uint32_t>(vocabulary));
                fill_stored_table(in[kTable], in[kScales], random);
              },
          .relative = 1e-6,
          .gradient = false};
}
}  // namespace

std::vector<OpCase> add_class_vectors_cases() {
  return {sized("one", 1, 1, 1, 1),
          sized("odd_5x11x4x33", 5, 11, 4, 33),
          sized("wide_8x300x224x513", 8, 300, 224, 513),
          sized("fp16_4x9x3x40", 4, 9, 3, 40, DType::kF16),
          sized("i8_6x130x20x77", 6, 130, 20, 77, DType::kI8),
          sized("u4_offsets_6x130x20x77", 6, 130, 20, 77, {DType::kU4, true})};
}

}  // namespace fabula::reference
