// Every kind of matrix is the matrix that it says: rows and products against all of it, in double.
#include "weights/matrix.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/decode_slot.hpp"
#include "base/philox.hpp"
#include "graph/reference.hpp"
#include "ops/op_table.hpp"
#include "weights/format.hpp"
#include "weights/quantise.hpp"

namespace fabula::weights {
namespace {
using graph::DType;
using graph::Graph;
using graph::RefTensor;
using graph::Shape;
using graph::Value;

constexpr std::int64_t kInputs = 45, kOutputs = 7, kRows = 3;

struct Kind {
  Format format;
  bool inputs_first;
  bool offsets = false;
};

class EveryKind : public testing::TestWithParam<Kind> {
 protected:
  EveryKind() : spec_(spec(GetParam().inputs_first)), graph_(ops::op_table()) {
    store_as(spec_, GetParam().format);
    spec_.offsets = GetParam().offsets;
    matrix_ = matrix_of(spec_);
    Philox random(5);
    for (double& x : w_) x = static_cast<float>(random.normal());
  }

  static graph::ParameterSpec spec(bool inputs_first) {
    return {.name = "w",
            .shape = inputs_first ? Shape{kInputs, kOutputs} : Shape{kOutputs, kInputs},
            .is_weight = true,
            .inputs_first = inputs_first};
  }
  static bool few_bits() { return GetParam().format == Format::kInt8 || GetParam().format == Format::kInt4; }
  double w(std::int64_t output, std::int64_t input) const {
    return w_[static_cast<std::size_t>(output * kInputs + input)];
  }

  /// Fills the store as the matrix states it.
  void fill(std::vector<RefTensor<double>>& values) {
    const auto tensor = [&](const Matrix::Stored& stored) -> RefTensor<double>& {
      const Value value = graph_.find(stored.name);
      EXPECT_EQ(graph_.shape(value), stored.shape);
      EXPECT_EQ(graph_.shape(value).dtype, stored.shape.dtype);
      return values[static_cast<std::size_t>(value.id)] = RefTensor<double>(stored.shape);
    };
    const std::vector<Matrix::Stored> stored = matrix_->stored();
    ASSERT_EQ(stored.size(), few_bits() ? 2u : 1u);
    if (GetParam().format == Format::kInt4) {
      const CodedMatrix coded = quantise_4(std::vector<float>(w_.begin(), w_.end()), kOutputs, kInputs, spec_.offsets);
      RefTensor<double>&codes = tensor(stored[0]), &scales = tensor(stored[1]);
      codes.u.assign(coded.codes.begin(), coded.codes.end());
      const std::size_t each = spec_.offsets ? 2 : 1;
      for (std::size_t i = 0; i < scales.f.size(); ++i)
        scales.f[i] = graph::half_value(DType::kF16, i % each == 0 ? coded.scales[i / each] : coded.offsets[i / each]);
      const std::vector<float> back = numbers_of(coded);
      w_.assign(back.begin(), back.end());
      return;
    }
    if (GetParam().format == Format::kInt8) {
      const ScaledRows scaled = quantise(std::vector<float>(w_.begin(), w_.end()), kOutputs, kInputs);
      RefTensor<double>&bytes = tensor(stored[0]), &scales = tensor(stored[1]);
      for (std::size_t i = 0; i < bytes.u.size(); ++i) bytes.u[i] = static_cast<std::uint32_t>(scaled.bytes[i]);
      for (std::size_t i = 0; i < scales.f.size(); ++i) scales.f[i] = graph::half_value(DType::kF16, scaled.scales[i]);
      const std::vector<float> back = dequantise(scaled);
      w_.assign(back.begin(), back.end());
      return;
    }
    const DType dtype = stored[0].shape.dtype;
    if (graph::is_half(dtype))
      for (double& x : w_) x = graph::half_value(dtype, graph::half_bits(dtype, static_cast<float>(x)));
    RefTensor<double>& all = tensor(stored[0]);
    for (std::int64_t o = 0; o < kOutputs; ++o)
      for (std::int64_t i = 0; i < kInputs; ++i) (GetParam().inputs_first ? all.at(i, o) : all.at(o, i)) = w(o, i);
  }

  graph::ParameterSpec spec_;
  Graph graph_;
  std::unique_ptr<const Matrix> matrix_;
  std::vector<double> w_ = std::vector<double>(kOutputs * kInputs);  ///< [outputs, inputs]
};

INSTANTIATE_TEST_SUITE_P(Matrices, EveryKind,
                         testing::Values(Kind{Format::kFp32, false}, Kind{Format::kFp32, true},
                                         Kind{Format::kFp16, false}, Kind{Format::kBf16, true},
                                         Kind{Format::kInt8, false}, Kind{Format::kInt8, true},
                                         Kind{Format::kInt4, false}, Kind{Format::kInt4, true},
                                         Kind{Format::kInt4, true, true}),
                         [](const auto& kind) {
                           return std::string(kFormatNames[static_cast<std::size_t>(kind.param.format)]) +
                                  (kind.param.inputs_first ? "_inputs_first" : "") +
                                  (kind.param.offsets ? "_offsets" : "");
                         });

TEST_P(EveryKind, IsTheMatrixThatItSays) {
  const Value x = graph_.input("x", {kRows, kInputs}, DType::kF32);
  const Value ids = graph_.input("ids", {1, 2}, DType::kU32);
  const Value places = graph_.input("places", {1, kPlaceWords * kRows}, DType::kU32);
  Hidden few(x);
  few.places = places;
  const Value dense = matrix_->dense(graph_), many_product = matrix_->product(graph_, x),
              few_product = matrix_->product(graph_, few), rows = matrix_->rows(graph_, {ids});
  std::vector<RefTensor<double>> values(graph_.values().size());
  const auto of = [&](Value value) -> RefTensor<double>& { return values[static_cast<std::size_t>(value.id)]; };
  for (const Value value : {x, ids, places}) of(value) = RefTensor<double>(graph_.shape(value));
  fill(values);
  Philox random(6);
  for (double& v : of(x).f) v = random.normal();
  of(ids).u = {4, 1};
  for (std::int64_t r = 0; r < kRows; ++r) of(places).u[static_cast<std::size_t>(kPlaceWords * r + 2)] = 1;
  graph::interpret(graph_, values);

  const bool outputs_first = matrix_->outputs_first();
  EXPECT_EQ(outputs_first, !GetParam().inputs_first || few_bits());
  for (std::int64_t o = 0; o < kOutputs; ++o)
    for (std::int64_t i = 0; i < kInputs; ++i)
      ASSERT_NEAR(outputs_first ? of(dense).at(o, i) : of(dense).at(i, o), w(o, i), 1e-6);
  for (std::int64_t r = 0; r < kRows; ++r)
    for (std::int64_t o = 0; o < kOutputs; ++o) {
      double sum = 0;
      for (std::int64_t i = 0; i < kInputs; ++i) sum += of(x).at(r, i) * w(o, i);
      ASSERT_NEAR(of(many_product).at(r, o), sum, 1e-5);
      ASSERT_NEAR(of(few_product).at(r, o), sum, 1e-5);
    }
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t c = 0; c < of(rows).shape.cols; ++c)
      ASSERT_EQ(of(rows).at(n, c), of(dense).at(of(ids).u[static_cast<std::size_t>(n)], c));
}

}  // namespace
}  // namespace fabula::weights
