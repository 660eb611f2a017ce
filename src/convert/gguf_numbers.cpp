#include "convert/gguf_numbers.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/fail.hpp"
#include "base/half.hpp"
#include "weights/quantise.hpp"

namespace fabula::convert {
namespace {

using weights::kBlock;

constexpr std::size_t kBlockBytes = sizeof(std::uint16_t) + kBlock;  // of Q8_0: an fp16 scale, then signed bytes

std::vector<float> from_halves(std::span<const std::byte> bytes, float (*convert)(std::uint16_t)) {
  std::vector<float> numbers(bytes.size() / sizeof(std::uint16_t));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + i * sizeof(bits), sizeof(bits));
    numbers[i] = convert(bits);
  }
  return numbers;
}

std::vector<float> from_blocks(std::span<const std::byte> bytes, std::int64_t cols) {
  const std::size_t blocks = bytes.size() / kBlockBytes;
  weights::ScaledRows rows{
      .rows = static_cast<std::int64_t>(blocks) * kBlock / cols, .cols = cols, .bytes = {}, .scales = {}};
  rows.bytes.resize(blocks * kBlock);
  rows.scales.resize(blocks);
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::byte* const block = bytes.data() + i * kBlockBytes;
    std::memcpy(&rows.scales[i], block, sizeof(std::uint16_t));
    std::memcpy(&rows.bytes[i * kBlock], block + sizeof(std::uint16_t), kBlock);
  }
  return weights::dequantise(rows);
}

void write_blocks(std::span<const float> numbers, std::int64_t cols, const GgufSink& sink) {
  const weights::ScaledRows rows = weights::quantise(numbers, static_cast<std::int64_t>(numbers.size()) / cols, cols);
  std::vector<std::byte> bytes(rows.scales.size() * kBlockBytes);
  for (std::size_t i = 0; i < rows.scales.size(); ++i) {
    std::byte* const block = bytes.data() + i * kBlockBytes;
    std::memcpy(block, &rows.scales[i], sizeof(std::uint16_t));
    std::memcpy(block + sizeof(std::uint16_t), &rows.bytes[i * kBlock], kBlock);
  }
  sink(bytes);
}

void write_halves(std::span<const float> numbers, bool fp16, const GgufSink& sink) {
  std::vector<std::uint16_t> bits(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    bits[i] = fp16 ? float_to_half(numbers[i]) : float_to_bf16(numbers[i]);
    if (!std::isfinite(fp16 ? half_to_float(bits[i]) : bf16_to_float(bits[i])))
      fail(ErrorCode::kNumeric, "the number {} is beyond {}", numbers[i],
           fp16 ? "fp16: bf16 has fp32's range" : "bf16");
  }
  sink(std::as_bytes(std::span(bits)));
}

void write_piece(GgufType type, std::span<const float> numbers, std::int64_t cols, const GgufSink& sink) {
  switch (type) {
    case GgufType::kF32:
      return sink(std::as_bytes(numbers));
    case GgufType::kF16:
      return write_halves(numbers, true, sink);
    case GgufType::kBf16:
      return write_halves(numbers, false, sink);
    case GgufType::kQ8_0:
      return write_blocks(numbers, cols, sink);
  }
  fail(ErrorCode::kInternal, "tensors of type {} are not written", static_cast<std::uint32_t>(type));
}

}  // namespace

GgufType gguf_type_of(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return GgufType::kF32;
    case WeightType::kF16:
      return GgufType::kF16;
    case WeightType::kBf16:
      return GgufType::kBf16;
    case WeightType::kQ8_0:
      return GgufType::kQ8_0;
  }
  fail(ErrorCode::kInternal, "there is no type of weights {}", static_cast<int>(type));
}

GgufType gguf_type_of(TensorDtype dtype) {
  if (dtype == TensorDtype::kF32) return GgufType::kF32;
  if (dtype == TensorDtype::kF16) return GgufType::kF16;
  if (dtype == TensorDtype::kBf16) return GgufType::kBf16;
  fail(ErrorCode::kUnsupported, "a tensor of {} holds no weights", dtype_name(dtype));
}

TensorDtype dtype_of(GgufType type) {
  switch (type) {
    case GgufType::kF16:
      return TensorDtype::kF16;
    case GgufType::kBf16:
      return TensorDtype::kBf16;
    case GgufType::kF32:
    case GgufType::kQ8_0:
      return TensorDtype::kF32;
  }
  fail(ErrorCode::kUnsupported, "numbers of GGUF's type {} are not read", static_cast<std::uint32_t>(type));
}

void check_numbers_are_read(const GgufFile& file, std::string_view tensor) {
  const GgufType type = file.info(tensor).type;
  if (type == GgufType::kF32 || type == GgufType::kF16 || type == GgufType::kBf16 || type == GgufType::kQ8_0) return;
  fail(ErrorCode::kUnsupported,
       "{}: tensor \"{}\" is {}; F32, F16, BF16 and Q8_0 are read: llama.cpp's `llama-quantize --allow-requantize "
       "FILE OUT q8_0` converts it",
       file.path().string(), tensor, gguf_type_info(type)->name);
}

std::vector<float> read_numbers(const GgufFile& file, std::string_view tensor) {
  check_numbers_are_read(file, tensor);
  const GgufTensorInfo& info = file.info(tensor);
  const std::span<const std::byte> bytes = file.raw(tensor);
  std::vector<float> numbers;
  switch (info.type) {
    case GgufType::kF32:
      numbers.resize(static_cast<std::size_t>(info.elements));
      std::memcpy(numbers.data(), bytes.data(), bytes.size());
      break;
    case GgufType::kF16:
      numbers = from_halves(bytes, half_to_float);
      break;
    case GgufType::kBf16:
      numbers = from_halves(bytes, bf16_to_float);
      break;
    case GgufType::kQ8_0:
      numbers = from_blocks(bytes, info.shape.back());
      break;
  }
  const auto bad = std::find_if(numbers.begin(), numbers.end(), [](float number) { return !std::isfinite(number); });
  if (bad != numbers.end())
    fail(ErrorCode::kFormat, "{}: tensor \"{}\": number {} is {}", file.path().string(), tensor, bad - numbers.begin(),
         *bad);
  return numbers;
}

void write_numbers(std::string_view tensor, GgufType type, std::span<const float> numbers, std::int64_t cols,
                   const GgufSink& sink) {
  const auto rows_at_once = static_cast<std::size_t>(std::max<std::int64_t>(1, kTensorPieceElements / cols) * cols);
  try {
    for (const float number : numbers)
      if (!std::isfinite(number)) fail(ErrorCode::kNumeric, "a number is {}", number);
    while (!numbers.empty()) {
      const std::size_t count = std::min(rows_at_once, numbers.size());
      write_piece(type, numbers.first(count), cols, sink);
      numbers = numbers.subspan(count);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNumeric) throw;
    fail(error.code(), "tensor \"{}\": {}", tensor, error.what());
  }
}

}  // namespace fabula::convert
