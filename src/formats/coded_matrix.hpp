#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/safetensors.hpp"

// Matrices as whole numbers of few bits with a scale, and perhaps an offset, for each 32 of a row: what `fabula
// compress` writes.
namespace fabula {

inline constexpr std::int64_t kCodeGroup = 32;  ///< columns that share a scale; a row's last group may be shorter

/// Without offsets a code q of b bits stands for d (q - 2^(b-1)), d the scale of its group; otherwise for d q + m, m
/// its offset.
struct CodedMatrix {
  int bits = 4;  ///< 3, 4 or 8
  bool has_offsets = false;
  std::int64_t rows = 0, cols = 0;
  std::vector<std::uint8_t> codes = {};     ///< [rows, cols], each below 2^bits
  std::vector<std::uint16_t> scales = {};   ///< [rows, groups()], fp16
  std::vector<std::uint16_t> offsets = {};  ///< [rows, groups()], fp16; empty without

  std::int64_t groups() const { return (cols + kCodeGroup - 1) / kCodeGroup; }
  /// 32-bit words that a row's codes take in files, one behind the other from the lowest bit on.
  std::int64_t row_words() const { return (cols * bits + 31) / 32; }
};

/// The numbers that it stands for, [rows, cols].
std::vector<float> numbers_of(const CodedMatrix& of);

/// Its codes as files hold them, [rows, row_words()], and back from there.
std::vector<std::int32_t> pack_codes(const CodedMatrix& of);
void unpack_codes(std::span<const std::byte> words, CodedMatrix& to);

/// What stands behind a tensor's name in the names of its parts.
inline constexpr std::string_view kCodesEnd = ".codes", kScalesEnd = ".scales", kOffsetsEnd = ".offsets";
/// The tensors that a file holds of it: codes I32, scales and offsets F16. `of` must outlive them.
std::vector<TensorSource> coded_tensors(const std::string& name, const CodedMatrix& of);
std::int64_t coded_bytes(const CodedMatrix& of);  ///< that they take

}  // namespace fabula
