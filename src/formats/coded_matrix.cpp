#include "formats/coded_matrix.hpp"

#include <cstring>

#include "base/fail.hpp"
#include "base/half.hpp"

namespace fabula {
namespace {

TensorSource halves(std::string name, const CodedMatrix& of, const std::vector<std::uint16_t>& values) {
  const auto fetch = [&values](std::int64_t first, std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = half_to_float(values[static_cast<std::size_t>(first) + i]);
  };
  return {.name = std::move(name), .shape = {of.rows, of.groups()}, .fetch = fetch, .dtype = TensorDtype::kF16};
}

}  // namespace

std::vector<float> numbers_of(const CodedMatrix& of) {
  std::vector<float> numbers(of.codes.size());
  const std::int64_t groups = of.groups();
  const float middle = static_cast<float>(1 << (of.bits - 1));
  for (std::int64_t row = 0; row < of.rows; ++row)
    for (std::int64_t col = 0; col < of.cols; ++col) {
      const auto at = static_cast<std::size_t>(row * of.cols + col);
      const auto group = static_cast<std::size_t>(row * groups + col / kCodeGroup);
      const float scale = half_to_float(of.scales[group]), code = of.codes[at];
      numbers[at] = of.has_offsets ? scale * code + half_to_float(of.offsets[group]) : scale * (code - middle);
    }
  return numbers;
}

std::vector<std::int32_t> pack_codes(const CodedMatrix& of) {
  const std::int64_t width = of.row_words();
  std::vector<std::uint32_t> words(static_cast<std::size_t>(of.rows * width), 0);
  for (std::int64_t row = 0; row < of.rows; ++row)
    for (std::int64_t col = 0; col < of.cols; ++col) {
      const std::uint64_t code = of.codes[static_cast<std::size_t>(row * of.cols + col)];
      const std::int64_t bit = col * of.bits;
      const auto at = static_cast<std::size_t>(row * width + bit / 32);
      const std::uint64_t placed = code << (bit % 32);
      words[at] |= static_cast<std::uint32_t>(placed);
      if (placed >> 32 != 0) words[at + 1] |= static_cast<std::uint32_t>(placed >> 32);
    }
  std::vector<std::int32_t> result(words.size());
  std::memcpy(result.data(), words.data(), 4 * words.size());
  return result;
}

void unpack_codes(std::span<const std::byte> bytes, CodedMatrix& to) {
  const std::int64_t width = to.row_words();
  ensure(static_cast<std::int64_t>(bytes.size()) == 4 * to.rows * width, "{} bytes of codes for {} rows of {} words",
         bytes.size(), to.rows, width);
  const auto word = [&](std::int64_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + 4 * at, 4);
    return std::uint64_t{value};
  };
  to.codes.resize(static_cast<std::size_t>(to.rows * to.cols));
  const std::uint64_t mask = (1u << to.bits) - 1;
  for (std::int64_t row = 0; row < to.rows; ++row)
    for (std::int64_t col = 0; col < to.cols; ++col) {
      const std::int64_t bit = col * to.bits, at = row * width + bit / 32;
      std::uint64_t code = word(at) >> (bit % 32);
      if (bit % 32 + to.bits > 32) code |= word(at + 1) << (32 - bit % 32);
      to.codes[static_cast<std::size_t>(row * to.cols + col)] = static_cast<std::uint8_t>(code & mask);
    }
}

std::vector<TensorSource> coded_tensors(const std::string& name, const CodedMatrix& of) {
  std::vector<TensorSource> tensors{
      integer_tensor(name + std::string(kCodesEnd), {of.rows, of.row_words()}, pack_codes(of)),
      halves(name + std::string(kScalesEnd), of, of.scales)};
  if (of.has_offsets) tensors.push_back(halves(name + std::string(kOffsetsEnd), of, of.offsets));
  return tensors;
}

std::int64_t coded_bytes(const CodedMatrix& of) {
  return of.rows * (4 * of.row_words() + 2 * of.groups() * (of.has_offsets ? 2 : 1));
}

}  // namespace fabula
