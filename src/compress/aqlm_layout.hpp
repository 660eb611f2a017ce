#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "compress/additive.hpp"

// A linear's codes as Hugging Face's quantisation method "aqlm" has them: <linear>.codes [outputs, groups, M] as signed
// integers, <linear>.codebooks F16 [M, 2^bits, 1, g], <linear>.scales F16 [outputs, 1, 1, 1]. Without a file: names and
// types of tensors are for who writes them.
namespace fabula::compress {

/// Bytes of a stored code: 1 to 8 bits, 2 beyond.
constexpr int aqlm_code_bytes(int bits) {
  return bits <= 8 ? 1 : 2;
}

struct AqlmShapes {
  std::vector<std::int64_t> codes, codebooks, scales;
};
AqlmShapes aqlm_shapes(const AdditiveFormat& format, std::int64_t outputs, std::int64_t inputs);

/// Codes [outputs, groups, M] in two's complement of their bits: those from 2^(bits - 1) on less 2^bits.
std::vector<std::int32_t> aqlm_codes(const AdditiveFormat& format, const AdditiveCodes& codes);

/// The tensors of one linear as they are read: bytes of the file and shapes.
struct AqlmTensors {
  std::span<const std::byte> codes;          ///< aqlm_code_bytes(bits) each, little-endian
  std::span<const float> codebooks, scales;  ///< converted from fp16
  std::vector<std::int64_t> codes_shape, codebooks_shape, scales_shape;
};
struct AqlmLinear {
  Codebooks codebooks;
  AdditiveCodes codes;
};
/// `name` is the linear's, for errors. Errors: kFormat for shapes that are not those of the format and the linear, a
/// code that its bits do not hold, a codeword or a scale that is not finite. kUnsupported for inputs that are no whole
/// number of groups, which the layout does not have.
AqlmLinear read_aqlm(std::string_view name, const AdditiveFormat& format, std::int64_t outputs, std::int64_t inputs,
                     const AqlmTensors& tensors);

}  // namespace fabula::compress
