#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace fabula {

/// One block of Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
/// shaders/include/philox.glsl computes the same numbers.
inline std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A stream of random numbers: the same for the same seed and stream on every platform.
class Philox {
 public:
  explicit Philox(std::uint64_t seed, std::uint64_t stream = 0)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}, stream_(stream) {}

  std::uint32_t next() {
    if (used_ == 4) {
      block_ = philox4x32({static_cast<std::uint32_t>(index_), static_cast<std::uint32_t>(index_ >> 32),
                           static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                          key_);
      ++index_;
      used_ = 0;
    }
    return block_[used_++];
  }
  /// In [0, 1), 24 bits.
  double uniform() { return static_cast<double>(next() >> 8) * 0x1p-24; }
  /// In [0, n), n > 0; unbiased.
  std::uint32_t below(std::uint32_t n) {
    const std::uint32_t limit = UINT32_MAX - (UINT32_MAX % n + 1) % n;
    std::uint32_t draw = next();
    while (draw > limit) draw = next();
    return draw % n;
  }
  /// From N(0, 1), Box and Muller.
  double normal() {
    const double u = (static_cast<double>(next()) + 1.0) * 0x1p-32;
    const double v = static_cast<double>(next()) * 0x1p-32;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t stream_;
  std::uint64_t index_ = 0;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

}  // namespace fabula
