#pragma once
#include <optional>
#include <span>

#include "formats/gguf.hpp"

// What the reader and the writer of GGUF share.
namespace fabula::gguf {

inline constexpr std::string_view kMagic = "GGUF";
inline constexpr std::uint32_t kVersion = 3;
inline constexpr std::size_t kMaxDimensions = 4;

/// Bytes of one value of a kind; 0 for texts and arrays, which have no fixed size.
std::size_t kind_bytes(GgufKind kind);
/// "a 32-bit unsigned number"; the kind must be one of the format's.
std::string_view kind_name(GgufKind kind);
inline bool is_kind(std::uint32_t number) {
  return number <= static_cast<std::uint32_t>(GgufKind::kF64);
}

/// What a tensor takes: its numbers, and their bytes. Nothing where a dimension is below 1, the row does not fill the
/// type's blocks, or the product does not fit.
struct Extent {
  std::int64_t elements;
  std::uint64_t bytes;
};
std::optional<Extent> extent_of(GgufType type, std::span<const std::int64_t> shape);

/// The next multiple of a power of two.
inline std::uint64_t aligned(std::uint64_t offset, std::uint64_t alignment) {
  return (offset + alignment - 1) & ~(alignment - 1);
}

}  // namespace fabula::gguf
