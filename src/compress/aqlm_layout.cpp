#include "compress/aqlm_layout.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/fail.hpp"

namespace fabula::compress {
namespace {

void check_shape(std::string_view name, const char* part, const std::vector<std::int64_t>& found,
                 const std::vector<std::int64_t>& expected) {
  if (found != expected)
    fail(ErrorCode::kFormat, "{}.{} is [{}], expected [{}]", name, part, fmt::join(found, ", "),
         fmt::join(expected, ", "));
}

void check_numbers(std::string_view name, const char* part, std::span<const float> numbers) {
  const auto at = std::find_if(numbers.begin(), numbers.end(), [](float x) { return !std::isfinite(x); });
  if (at != numbers.end()) fail(ErrorCode::kFormat, "{}.{}: number {} is not finite", name, part, at - numbers.begin());
}

std::int32_t stored_code(std::span<const std::byte> bytes, std::size_t at, int width) {
  if (width == 1) return static_cast<std::int8_t>(bytes[at]);
  std::int16_t word = 0;
  std::memcpy(&word, bytes.data() + 2 * at, sizeof(word));
  return word;
}

}  // namespace

AqlmShapes aqlm_shapes(const AdditiveFormat& format, std::int64_t outputs, std::int64_t inputs) {
  return {.codes = {outputs, (inputs + format.group - 1) / format.group, format.codebooks},
          .codebooks = {format.codebooks, format.entries(), 1, format.group},
          .scales = {outputs, 1, 1, 1}};
}

std::vector<std::int32_t> aqlm_codes(const AdditiveFormat& format, const AdditiveCodes& codes) {
  std::vector<std::int32_t> stored(codes.codes.begin(), codes.codes.end());
  const auto entries = static_cast<std::int32_t>(format.entries());
  for (std::int32_t& code : stored)
    if (code >= entries / 2) code -= entries;
  return stored;
}

AqlmLinear read_aqlm(std::string_view name, const AdditiveFormat& format, std::int64_t outputs, std::int64_t inputs,
                     const AqlmTensors& tensors) {
  if (inputs % format.group != 0)
    fail(ErrorCode::kUnsupported, "{} has {} inputs, which are no whole groups of {}", name, inputs, format.group);
  const AqlmShapes shapes = aqlm_shapes(format, outputs, inputs);
  check_shape(name, "codes", tensors.codes_shape, shapes.codes);
  check_shape(name, "codebooks", tensors.codebooks_shape, shapes.codebooks);
  check_shape(name, "scales", tensors.scales_shape, shapes.scales);
  const std::int64_t groups = inputs / format.group;
  const auto count = static_cast<std::size_t>(outputs * groups * format.codebooks);
  const int width = aqlm_code_bytes(format.bits);
  if (tensors.codes.size() != count * static_cast<std::size_t>(width))
    fail(ErrorCode::kFormat, "{}.codes has {} bytes for {} codes of {} bits; expected {} each", name,
         tensors.codes.size(), count, format.bits, width);
  ensure(std::ssize(tensors.codebooks) == format.codebooks * format.entries() * format.group &&
             std::ssize(tensors.scales) == outputs,
         "{}: {} numbers of codebooks and {} scales", name, tensors.codebooks.size(), tensors.scales.size());
  check_numbers(name, "codebooks", tensors.codebooks);
  check_numbers(name, "scales", tensors.scales);
  AqlmLinear result{.codebooks = {format, {tensors.codebooks.begin(), tensors.codebooks.end()}},
                    .codes = {.outputs = outputs, .inputs = inputs, .groups = groups}};
  result.codes.scales.assign(tensors.scales.begin(), tensors.scales.end());
  const auto half = static_cast<std::int32_t>(format.entries() / 2), entries = 2 * half;
  for (std::size_t at = 0; at < count; ++at) {
    const std::int32_t stored = stored_code(tensors.codes, at, width);
    if (stored < -half || stored >= half)
      fail(ErrorCode::kFormat, "{}.codes: code {} is {}, expected {} to {} of {} bits", name, at, stored, -half,
           half - 1, format.bits);
    result.codes.codes.push_back(static_cast<std::uint16_t>(stored < 0 ? stored + entries : stored));
  }
  return result;
}

}  // namespace fabula::compress
