#include <algorithm>

#include "base/fail.hpp"
#include "weights/matrix.hpp"
#include "weights/quantise.hpp"

namespace fabula::weights {
namespace {
using graph::DType;
using graph::Graph;
using graph::Shape;
using graph::Value;

std::vector<float> turned(std::span<const float> numbers, const Shape& to) {
  std::vector<float> result(numbers.size());
  auto next = result.begin();
  for (std::int64_t row = 0; row < to.rows; ++row)
    for (std::int64_t col = 0; col < to.cols; ++col) *next++ = numbers[static_cast<std::size_t>(col * to.rows + row)];
  return result;
}

/// Two codes to a byte. Those of three bits lie around the middle of four where there are no offsets.
std::vector<std::byte> nibbles_of(const CodedMatrix& coded) {
  const std::uint32_t shift = coded.has_offsets ? 0 : 8 - (1u << (coded.bits - 1));
  const auto cols = static_cast<std::size_t>(coded.cols), row_bytes = (cols + 1) / 2;
  std::vector<std::byte> bytes(static_cast<std::size_t>(coded.rows) * row_bytes);
  for (std::size_t i = 0; i < coded.codes.size(); ++i) {
    const std::size_t col = i % cols;
    bytes[i / cols * row_bytes + col / 2] |= static_cast<std::byte>((coded.codes[i] + shift) << 4 * (col % 2));
  }
  return bytes;
}

std::vector<std::int8_t> bytes_of(const CodedMatrix& coded) {
  std::vector<std::int8_t> bytes(coded.codes.size());
  std::transform(coded.codes.begin(), coded.codes.end(), bytes.begin(),
                 [](std::uint8_t code) { return static_cast<std::int8_t>(code - 128); });
  return bytes;
}

/// An offset behind each scale.
std::vector<std::uint16_t> scales_of(const CodedMatrix& coded) {
  if (!coded.has_offsets) return coded.scales;
  std::vector<std::uint16_t> both;
  for (std::size_t i = 0; i < coded.scales.size(); ++i) both.insert(both.end(), {coded.scales[i], coded.offsets[i]});
  return both;
}

class ScaledGroups final : public Matrix {
 public:
  using Matrix::Matrix;

  std::vector<Stored> stored() const override { return {{spec().name, spec().shape}, {scales_name(), scales_shape()}}; }

  void upload(graph::Runtime& runtime, std::span<const float> numbers) const override {
    const Shape& shape = spec().shape;
    std::vector<float> other_way;
    if (spec().transposed) numbers = other_way = turned(numbers, shape);
    try {
      if (shape.dtype == DType::kU4)
        return upload(runtime, quantise_4(numbers, shape.rows, shape.cols, spec().offsets));
      const ScaledRows scaled = quantise(numbers, shape.rows, shape.cols);
      upload_parts(runtime, std::as_bytes(std::span(scaled.bytes)), scaled.scales);
    } catch (const Error& error) {
      fail(error.code(), "\"{}\": {}; store the weights in another type", spec().name, error.what());
    }
  }

  bool holds(const CodedMatrix& coded) const override {
    const bool bytes = spec().shape.dtype == DType::kI8;
    return bytes == (coded.bits == 8) && coded.has_offsets == spec().offsets && coded.rows == spec().shape.rows &&
           coded.cols == spec().shape.cols;
  }
  void upload(graph::Runtime& runtime, const CodedMatrix& coded) const override {
    ensure(holds(coded), "\"{}\" cannot hold codes of {} bits", spec().name, coded.bits);
    if (coded.bits < 8) return upload_parts(runtime, nibbles_of(coded), scales_of(coded));
    const std::vector<std::int8_t> bytes = bytes_of(coded);
    upload_parts(runtime, std::as_bytes(std::span(bytes)), scales_of(coded));
  }

  Value dense(Graph& graph, DType dtype) const override { return expand(graph, {}, dtype); }
  Operand as_stored(Graph& graph) const override {
    return {graph::ParameterSet::value_of(graph, spec()), graph.parameter(scales_name(), scales_shape()),
            outputs_first()};
  }
  Value rows(Graph& graph, const Lookup& lookup, DType dtype) const override {
    return expand(graph, lookup.ids, dtype);
  }

 private:
  std::string scales_name() const { return spec().name + kScales; }
  Shape scales_shape() const {
    const Shape& codes = spec().shape;
    return {codes.rows, (codes.cols + kBlock - 1) / kBlock * (spec().offsets ? 2 : 1), DType::kF16};
  }
  void upload_parts(graph::Runtime& runtime, std::span<const std::byte> codes,
                    const std::vector<std::uint16_t>& scales) const {
    runtime.upload(spec().name, spec().shape.dtype, codes);
    runtime.upload(scales_name(), DType::kF16, std::as_bytes(std::span(scales)));
  }
  Value expand(Graph& graph, Value ids, DType dtype) const {
    const Operand stored = as_stored(graph);
    return graph.op1("expand", {stored.values, stored.scales, ids}, {{"out", double(graph::storage_code(dtype))}});
  }
};

}  // namespace

std::unique_ptr<const Matrix> scaled_groups(const graph::ParameterSpec& spec) {
  return std::make_unique<ScaledGroups>(spec);
}

}  // namespace fabula::weights
