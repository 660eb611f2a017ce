#include "weights/quantise.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "base/half.hpp"

namespace fabula::weights {
namespace {

constexpr float kLargestByte = 127;
constexpr std::uint16_t kInfinity = 0x7C00;  // fp16

/// Largest magnitude; infinite where a number is none.
float magnitude(std::span<const float> block) {
  float most = 0;
  for (const float x : block) most = std::isfinite(x) ? std::max(most, std::abs(x)) : INFINITY;
  return most;
}

struct GroupScale {
  float scale = 0, offset = 0;
};
GroupScale scale_of_4(std::span<const float> block, bool offsets) {
  const auto [low, high] = std::minmax_element(block.begin(), block.end());
  if (offsets) return {(*high - *low) / 15, *low};
  const float most = -*low > *high ? *low : *high;
  return {most / -8, 0};
}

}  // namespace

ScaledRows quantise(std::span<const float> numbers, std::int64_t rows, std::int64_t cols) {
  ensure(static_cast<std::int64_t>(numbers.size()) == rows * cols, "{} numbers for {} rows of {}", numbers.size(), rows,
         cols);
  ScaledRows result{.rows = rows, .cols = cols, .bytes = {}, .scales = {}};
  result.bytes.resize(numbers.size());
  result.scales.reserve(static_cast<std::size_t>(rows * result.blocks()));
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t col = 0; col < cols; col += kBlock) {
      const auto begin = static_cast<std::size_t>(row * cols + col);
      const std::span<const float> block =
          numbers.subspan(begin, static_cast<std::size_t>(std::min(kBlock, cols - col)));
      const float scale = magnitude(block) / kLargestByte;
      result.scales.push_back(float_to_half(scale));
      if (result.scales.back() >= kInfinity)
        fail(ErrorCode::kNumeric,
             "row {}, columns {} to {}: a number is not finite, or too large for bytes with an fp16 "
             "scale",
             row, col, col + static_cast<std::int64_t>(block.size()) - 1);
      const float inverse = std::isnormal(scale) ? 1 / scale : 0;
      for (std::size_t i = 0; i < block.size(); ++i)
        result.bytes[begin + i] =
            static_cast<std::int8_t>(std::clamp(std::round(block[i] * inverse), -kLargestByte, kLargestByte));
    }
  return result;
}

CodedMatrix quantise_4(std::span<const float> numbers, std::int64_t rows, std::int64_t cols, bool offsets) {
  ensure(static_cast<std::int64_t>(numbers.size()) == rows * cols, "{} numbers for {} rows of {}", numbers.size(), rows,
         cols);
  CodedMatrix result{.bits = 4, .has_offsets = offsets, .rows = rows, .cols = cols};
  result.codes.resize(numbers.size());
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t col = 0; col < cols; col += kBlock) {
      const auto begin = static_cast<std::size_t>(row * cols + col);
      const std::span<const float> block =
          numbers.subspan(begin, static_cast<std::size_t>(std::min(kBlock, cols - col)));
      const GroupScale group = scale_of_4(block, offsets);
      result.scales.push_back(float_to_half(group.scale));
      if (offsets) result.offsets.push_back(float_to_half(group.offset));
      const bool fits = std::isfinite(magnitude(block)) && std::isfinite(half_to_float(result.scales.back())) &&
                        std::isfinite(half_to_float(float_to_half(group.offset)));
      if (!fits)
        fail(ErrorCode::kNumeric,
             "row {}, columns {} to {}: a number is not finite, or too large for four bits with an fp16 scale", row,
             col, col + static_cast<std::int64_t>(block.size()) - 1);
      const float inverse = std::isnormal(group.scale) ? 1 / group.scale : 0;
      for (std::size_t i = 0; i < block.size(); ++i) {
        const float code = (block[i] - group.offset) * inverse + (offsets ? 0.5f : 8.5f);
        result.codes[begin + i] = static_cast<std::uint8_t>(std::clamp(code, 0.0f, 15.0f));
      }
    }
  return result;
}

std::vector<float> dequantise(const ScaledRows& of) {
  std::vector<float> numbers(of.bytes.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i) / of.cols, col = static_cast<std::int64_t>(i) % of.cols;
    numbers[i] = of.bytes[i] * half_to_float(of.scales[static_cast<std::size_t>(row * of.blocks() + col / kBlock)]);
  }
  return numbers;
}

}  // namespace fabula::weights
