#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace fabula {

inline double mib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

/// Bytes for people: "812.3 KiB" below 10 MiB, else "46.3 MiB"; "96 bytes" below 1 KiB.
inline std::string size_text(std::uint64_t bytes, int decimals = 1) {
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  return bytes < 10ull << 20 ? fmt::format("{:.{}f} KiB", static_cast<double>(bytes) / 1024, decimals)
                             : fmt::format("{:.{}f} MiB", mib(bytes), decimals);
}

}  // namespace fabula
