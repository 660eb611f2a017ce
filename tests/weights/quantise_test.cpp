#include "weights/quantise.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/half.hpp"
#include "base/philox.hpp"
#include "expect_error.hpp"
#include "weights/format.hpp"

namespace fabula::weights {
namespace {

TEST(Quantise, GivesTheBytesOfQ8_0) {
  // d = 12.7 / 127 = 0.1; halves go away from zero.
  std::vector<float> numbers(kBlock, 0.f);
  numbers[0] = 12.7f, numbers[1] = -12.7f, numbers[2] = 0.26f, numbers[3] = -0.14f, numbers[31] = 5.f;
  const ScaledRows scaled = quantise(numbers, 1, kBlock);
  ASSERT_EQ(scaled.scales, (std::vector<std::uint16_t>{0x2E66}));  // 0.09998
  const std::vector<std::int8_t> expected = [] {
    std::vector<std::int8_t> bytes(kBlock, 0);
    bytes[0] = 127, bytes[1] = -127, bytes[2] = 3, bytes[3] = -1, bytes[31] = 50;
    return bytes;
  }();
  EXPECT_EQ(scaled.bytes, expected);
}

TEST(Quantise, HalvesGoAwayFromZero) {
  const std::vector<float> numbers{127, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f};  // d = 1
  EXPECT_EQ(quantise(numbers, 1, 6).bytes, (std::vector<std::int8_t>{127, 1, -1, 2, 3, -3}));
}

TEST(Quantise, IsOffByHalfAByteAndTheScalesRounding) {
  for (const double size : {1e-4, 0.02, 1.0, 300.0}) {
    Philox random(static_cast<std::uint64_t>(1e6 * size));
    const std::int64_t rows = 7, cols = 77;
    std::vector<float> numbers(static_cast<std::size_t>(rows * cols));
    for (float& x : numbers) x = static_cast<float>(size * random.normal());
    const ScaledRows scaled = quantise(numbers, rows, cols);
    const std::vector<float> back = dequantise(scaled);
    ASSERT_EQ(scaled.blocks(), 3);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i) / cols, block = static_cast<std::int64_t>(i) % cols / kBlock;
      double amax = 0;
      for (std::int64_t c = block * kBlock; c < std::min(cols, (block + 1) * kBlock); ++c)
        amax = std::max(amax, std::abs(double{numbers[static_cast<std::size_t>(row * cols + c)]}));
      const double d = amax / 127, of_scale = std::max(d * 0x1p-11, 0x1p-25);
      EXPECT_LE(std::abs(back[i] - numbers[i]), 0.5 * d + 127 * of_scale + 1e-6 * amax) << size << ", " << i;
    }
    // What is stored is stored the same again.
    const ScaledRows again = quantise(back, rows, cols);
    for (std::size_t i = 0; i < again.bytes.size(); ++i)
      EXPECT_EQ(again.bytes[i], scaled.bytes[i]) << size << ", " << i;
    EXPECT_EQ(again.scales, scaled.scales);
  }
}

TEST(Quantise, TakesZerosAndSubnormals) {
  const ScaledRows zeros = quantise(std::vector<float>(40, 0.f), 1, 40);
  EXPECT_EQ(zeros.scales, (std::vector<std::uint16_t>{0, 0}));
  for (const float x : dequantise(quantise(std::vector<float>{1e-40f, -1e-30f, 0, 1e-9f}, 2, 2)))
    EXPECT_NEAR(x, 0, 1e-7);
}

TEST(Quantise, RefusesWhatHasNoScale) {
  for (const float bad : {NAN, INFINITY, -INFINITY, 1e7f}) {
    std::vector<float> numbers(100, 1.f);
    numbers[90] = bad;  // the second of two rows, its second block
    test::expect_error(ErrorCode::kNumeric, {"row 1, columns 32 to 49"}, [&] { quantise(numbers, 2, 50); });
  }
}

TEST(StoreAs, TurnsWhatHasItsInputsFirstForBytesAlone) {
  graph::ParameterSpec spec{.name = "w", .shape = {3, 5}, .is_weight = true, .inputs_first = true};
  graph::ParameterSpec bytes = spec, half = spec, norm{.name = "n", .shape = {1, 5}, .is_vector = true};
  store_as(bytes, Format::kInt8);
  store_as(half, Format::kBf16);
  store_as(norm, Format::kInt8);
  EXPECT_EQ(bytes.shape, (graph::Shape{5, 3}));
  EXPECT_EQ(bytes.shape.dtype, graph::DType::kI8);
  EXPECT_EQ(half.shape, spec.shape);
  EXPECT_EQ(half.shape.dtype, graph::DType::kBF16);
  EXPECT_EQ(norm.shape.dtype, graph::DType::kF32);
  for (const graph::ParameterSpec& of : {bytes, half, spec})
    EXPECT_EQ(of.file_shape(), (std::vector<std::int64_t>{3, 5}));
  test::expect_error(ErrorCode::kInvalidArgument, {"int5", "fp32, fp16, bf16, int8, int4"},
                     [] { parse_format("int5"); });
}

TEST(StoreAs, DoesWhatAFolderSaysOfAMatrix) {
  Compression folder;
  folder.tensors["w"] = {.bits = 3, .has_offsets = true, .shape = {3, 5}, .transposed = true};
  graph::ParameterSpec w{.name = "w", .shape = {3, 5}, .is_weight = true, .inputs_first = true}, other = w;
  other.name = "other";
  const graph::ParameterSpec before = w;
  store_as(w, Storage(Format::kStored, folder));
  store_as(other, Storage(Format::kStored, folder));
  EXPECT_EQ(w.shape, (graph::Shape{5, 3}));
  EXPECT_EQ(w.shape.dtype, graph::DType::kU4);
  EXPECT_TRUE(w.offsets);
  EXPECT_EQ(other.shape.dtype, graph::DType::kF32);
  graph::ParameterSpec half = before;
  store_as(half, Storage(Format::kFp16, folder));
  EXPECT_EQ(half.shape.dtype, graph::DType::kF16);
}

TEST(QuantiseTo4Bits, GivesTheCodesOfQ4_0) {
  // d = 4 / -8: the number of largest magnitude is the lowest code.
  const CodedMatrix coded = quantise_4(std::vector<float>{4, -3.5f, 0, 1, 0.3f}, 1, 5, false);
  EXPECT_EQ(coded.scales, (std::vector<std::uint16_t>{0xB800}));  // -0.5
  EXPECT_EQ(coded.codes, (std::vector<std::uint8_t>{0, 15, 8, 6, 7}));
  EXPECT_EQ(numbers_of(coded), (std::vector<float>{4, -3.5f, 0, 1, 0.5f}));
}

TEST(QuantiseTo4Bits, WithOffsetsReachesBothEnds) {
  const CodedMatrix coded = quantise_4(std::vector<float>{-1, 14, 6.4f, 6.6f}, 2, 2, true);
  EXPECT_EQ(coded.codes, (std::vector<std::uint8_t>{0, 15, 0, 15}));
  const std::vector<float> back = numbers_of(coded);
  EXPECT_NEAR(back[0], -1, 1e-3);
  EXPECT_NEAR(back[1], 14, 1e-2);
  EXPECT_NEAR(back[2], 6.4, 1e-2);
  for (const float bad : {NAN, INFINITY, 1e7f})
    test::expect_error(ErrorCode::kNumeric, {"row 0, columns 0 to 1"}, [&] {
      quantise_4(std::vector<float>{bad, 0}, 1, 2, true);
    });
}

}  // namespace
}  // namespace fabula::weights
