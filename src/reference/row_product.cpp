#include <cmath>

#include "reference/gelu.hpp"
#include "reference/stored_table.hpp"

namespace fabula::reference {
using graph::DType;
using graph::OpCase;
using graph::RefCall;
using graph::RefTensor;

namespace {
enum Input : std::size_t { kX, kWeight, kScales, kBias, kResidual, kNormWeight, kNormBias, kPlaces };

/// A row of x as the product reads it.
template <class T>
std::vector<double> normed_row(const RefCall<T>& call, std::int64_t r) {
  const auto& x = *call.in[kX];
  const std::int64_t norm = call.attrs.integer_or("norm", 0);
  std::vector<double> row;
  for (std::int64_t k = 0; k < x.shape.cols; ++k) row.push_back(x.at(r, k));
  if (norm == 0) return row;
  const double K = static_cast<double>(x.shape.cols);
  double mean = 0, square = 0;
  for (const double v : row) mean += norm == 1 ? v / K : 0;
  for (const double v : row) square += (v - mean) * (v - mean) / K;
  const double rstd = 1 / std::sqrt(square + call.attrs.get("eps"));
  for (std::int64_t k = 0; k < x.shape.cols; ++k) {
    double& v = row[static_cast<std::size_t>(k)];
    v = (v - mean) * rstd * call.in[kNormWeight]->at(0, k);
    if (call.in[kNormBias]) v += call.in[kNormBias]->at(0, k);
  }
  return row;
}

/// The weight from column k of x to column n of y.
template <class T>
double weight_of(const RefCall<T>& call, std::int64_t k, std::int64_t n) {
  const RefTensor<T>& weight = *call.in[kWeight];
  const bool along_k = call.attrs.integer_or("transpose_b", 0) != 0;
  const std::int64_t row = along_k ? n : k, col = along_k ? k : n;
  return stored_entry(weight, call.in[kScales], row, col);
}
}  // namespace

template <class T>
void row_product(RefCall<T>& call) {
  auto& y = *call.out[0];
  const bool gelu = call.attrs.integer_or("activation", 0) == 1;
  for (std::int64_t r = 0; r < y.shape.rows; ++r) {
    if (call.in[kPlaces] && call.in[kPlaces]->u[static_cast<std::size_t>(4 * r + 2)] == 0) continue;
    const std::vector<double> x = normed_row(call, r);
    for (std::int64_t n = 0; n < y.shape.cols; ++n) {
      double sum = call.in[kBias] ? static_cast<double>(call.in[kBias]->at(0, n)) : 0.0;
      for (std::size_t k = 0; k < x.size(); ++k) sum += x[k] * weight_of(call, static_cast<std::int64_t>(k), n);
      if (gelu) sum = gelu_of(sum);
      if (call.in[kResidual]) sum += call.in[kResidual]->at(r, n);
      y.at(r, n) = static_cast<T>(sum);
    }
  }
}
template void row_product<float>(RefCall<float>&);
template void row_product<double>(RefCall<double>&);

namespace {
struct With {
  bool bias = false, residual = false, gelu = false, places = false;
  int norm = 0;
  StoredAs weight = DType::kF32;
};

OpCase sized(std::string name, std::int64_t rows, std::int64_t depth, std::int64_t cols, bool along_k, With with = {}) {
  const graph::Shape weight = along_k ? graph::Shape{cols, depth} : graph::Shape{depth, cols};
  return {.name = std::move(name),
          .attrs = {{"transpose_b", double(along_k)},
                    {"activation", double(with.gelu)},
                    {"norm", double(with.norm)},
                    {"eps", 1e-5}},
          .inputs = {{.shape = {rows, depth}},
                     {.shape = weight, .dtype = with.weight.dtype},
                     scales_input(weight, with.weight),
                     {.shape = {1, cols}, .present = with.bias},
                     {.shape = {rows, cols}, .present = with.residual},
                     {.shape = {1, depth}, .present = with.norm != 0},
                     {.shape = {1, depth}, .present = with.norm == 1},
                     {.shape = {1, 4 * rows}, .dtype = DType::kU32, .present = with.places}},
          .fill =
              [](auto& in, Philox& random) {
                fill_stored_table(in[kWeight], in[kScales], random);
                for (std::size_t r = 0; r < in[kPlaces].u.size() / 4; ++r) {
                  const bool live = r % 3 != 1;
                  in[kPlaces].u[4 * r + 2] = live;
                }
              },
          .relative = 4e-6};
}
}  // namespace

std::vector<OpCase> row_product_cases() {
  return {
      sized("one", 1, 1, 1, false),
      sized("one_nt", 1, 1, 1, true, {.bias = true, .norm = 1}),
      sized("qkv_1x256x768", 1, 256, 768, false, {.bias = true, .norm = 1}),
      sized("down_1x1024x256", 1, 1024, 256, false, {.bias = true, .residual = true}),
      sized("up_8x256x1024_nt", 8, 256, 1024, true, {.bias = true, .gelu = true, .norm = 1}),
      sized("odd_3x33x65", 3, 33, 65, false, {.bias = true, .gelu = true, .places = true, .norm = 1}),
      sized("odd_3x33x65_nt", 3, 33, 65, true, {.residual = true, .places = true}),
      sized("rms_5x70x31_nt", 5, 70, 31, true, {.places = true, .norm = 2}),
      sized("rows_21x130x19", 21, 130, 19, false, {.places = true, .norm = 2}),
      sized("rows_64x64x96_nt", 64, 64, 96, true, {.bias = true}),
      sized("rows_37x70x61", 37, 70, 61, false, {.bias = true, .residual = true, .gelu = true, .places = true}),
      sized("rows_35x66x523_nt", 35, 66, 523, true, {.residual = true, .places = true}),
      sized("fp16_weight_2x100x40", 2, 100, 40, false, {.bias = true, .norm = 1, .weight = DType::kF16}),
      sized("bf16_weight_4x37x41_nt", 4, 37, 41, true, {.weight = DType::kBF16}),
      sized("i8_1x256x300_nt", 1, 256, 300, true, {.bias = true, .norm = 1, .weight = DType::kI8}),
      sized("i8_odd_3x77x13_nt", 3, 77, 13, true, {.residual = true, .weight = DType::kI8}),
      sized("u4_1x256x300_nt", 1, 256, 300, true, {.bias = true, .norm = 1, .weight = DType::kU4}),
      sized("u4_odd_3x77x13_nt", 3, 77, 13, true, {.residual = true, .weight = DType::kU4}),
      sized("u4_offsets_one_nt", 1, 1, 1, true, {.weight = {DType::kU4, true}}),
      sized("u4_offsets_2x172x64_nt", 2, 172, 64, true, {.bias = true, .gelu = true, .weight = {DType::kU4, true}}),
      sized("u4_offsets_9x300x37_nt", 9, 300, 37, true, {.places = true, .norm = 2, .weight = {DType::kU4, true}}),
      // So many columns that a workgroup goes through several, one after the other.
      sized("turns_1x40x70001_nt", 1, 40, 70001, true, {.places = true, .norm = 1}),
      sized("turns_9x24x20003", 9, 24, 20003, false, {.bias = true, .norm = 2}),
      sized("turns_8x200x36001_nt", 8, 200, 36001, true, {.norm = 1, .weight = DType::kI8}),
      sized("long_2x3000x9_nt", 2, 3000, 9, true),
      sized("long_2x5003x6", 2, 5003, 6, false, {.norm = 1}),
  };
}

}  // namespace fabula::reference
