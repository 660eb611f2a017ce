#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace fabula {

/// XXH64 (Yann Collet's, seed 0) of bytes that come piece by piece: finds a flipped bit of a file at the speed of
/// memory; no defence against malice. https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
class Checksum {
 public:
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  /// Of all bytes so far; more may follow.
  std::uint64_t value() const;

 private:
  static constexpr std::size_t kStripeBytes = 32;

  std::array<std::uint64_t, 4> lanes_ = {0x60EA27EEADC0B5D6ull, 0xC2B2AE3D27D4EB4Full, 0, 0x61C8864E7A143579ull};
  std::array<std::byte, kStripeBytes> rest_{};  ///< bytes that do not fill a stripe yet
  std::uint64_t size_ = 0;
};

std::uint64_t checksum(std::span<const std::byte> bytes);
inline std::uint64_t checksum(std::string_view text) {
  return checksum(std::as_bytes(std::span(text)));
}

/// Of a whole file. Errors: those of MappedFile.
std::uint64_t file_checksum(const std::filesystem::path& path);

/// 16 hexadecimal digits, as XXH64 is written, xxhsum's too.
std::string checksum_text(std::uint64_t value);

}  // namespace fabula
