#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/decode_slot.hpp"

// A draw is made of whole numbers, so that every device and this reference draw the same token: sums of them are exact
// in any order. Floats are only multiplied and added, each result rounded to fp32, before they become whole.
namespace fabula::reference {

inline float rounded_product(float a, float b) {
  return static_cast<float>(static_cast<double>(a) * b);
}
inline float rounded_sum(float a, float b) {
  return static_cast<float>(static_cast<double>(a) + b);
}

/// log2(e) / temperature, rounded down to a float.
inline float sharpness(float temperature) {
  const auto bits = std::bit_cast<std::uint32_t>(temperature);
  constexpr std::uint64_t kLog2E = 0x5C551D94AE0BF8;  // log2(e) * 2^54
  const auto quotient = static_cast<std::uint32_t>(kLog2E / ((bits & 0x7FFFFFu) | 0x800000u));
  const bool long_one = quotient >> 31 != 0;
  return std::bit_cast<float>((quotient >> (long_one ? 8 : 7) & 0x7FFFFFu) | ((long_one ? 254 : 253) - (bits >> 23))
                                                                                 << 23);
}

/// A token that may be drawn. Its probability is proportional to 2^(octave + part / 2^20).
struct Candidate {
  std::uint32_t id = 0;
  std::int32_t octave = 0;
  std::uint32_t part = 0;

  /// 2^23 to 2^24, within an octave.
  std::uint32_t mantissa() const {
    const float x = static_cast<float>(part) * 0x1p-20f;
    float power = 0.0018671300495043397f;  // least relative error of 2^x that starts at 1: 1.7e-7
    for (const float c : {0.009017030708491802f, 0.05579991266131401f, 0.24016444385051727f, 0.6931512951850891f, 1.0f})
      power = rounded_sum(rounded_product(power, x), c);
    return static_cast<std::uint32_t>(power * 0x1p23f);
  }
  bool before(const Candidate& other) const {
    if (octave != other.octave) return octave > other.octave;
    return part != other.part ? part > other.part : id < other.id;
  }
};

inline Candidate candidate(std::uint32_t id, float log_p, float sharpness) {
  const float score = rounded_product(log_p, sharpness), octave = std::floor(score);
  const float part = rounded_sum(score, -octave) * 0x1p20f;
  return {id, static_cast<std::int32_t>(std::clamp(octave, -1e9f, 1e9f)),
          std::min(static_cast<std::uint32_t>(part), (1u << 20) - 1)};
}

constexpr std::int64_t kOctaves = 64;  ///< below the likeliest token: beyond them nothing is cut off, or has a weight

inline std::uint64_t shifted(std::uint64_t x, std::int64_t octaves) {
  return octaves < kOctaves ? x >> octaves : 0;
}

/// Sums mantissas in falling order.
class FallingMass {
 public:
  explicit FallingMass(std::int32_t top) : top_(top), octave_(top) {}
  void add(const Candidate& c) {
    if (c.octave != octave_) {
      closed_ = sum();
      mantissas_ = 0;
      octave_ = c.octave;
    }
    mantissas_ += c.mantissa();
  }
  std::uint64_t sum() const { return closed_ + shifted(mantissas_ << 16, std::int64_t{top_} - octave_); }

 private:
  std::int32_t top_, octave_;
  std::uint64_t closed_ = 0, mantissas_ = 0;
};

/// a * b / 2^32, rounded down.
inline std::uint64_t times_fraction(std::uint64_t a, std::uint32_t b) {
  return (a >> 32) * b + ((a & 0xFFFFFFFFu) * b >> 32);
}
/// A number in [0, 1] as a fraction of 2^32, 1 as the largest one.
inline std::uint32_t fraction(float x) {
  return x < 1 ? static_cast<std::uint32_t>(x * 0x1p32f) : UINT32_MAX;
}

struct Cuts {
  std::uint32_t top_k = 0;  ///< 0: all
  float top_p = 1, min_p = 0;
};

/// What is left of candidates in falling order. A cut beyond kOctaves is none.
inline void cut(std::vector<Candidate>& falling, const Cuts& cuts) {
  const Candidate top = falling.front();
  const auto within = [&](std::size_t count) {
    return count < falling.size() && std::int64_t{top.octave} - falling[count - 1].octave < kOctaves;
  };
  if (cuts.top_k > 0 && within(cuts.top_k)) falling.resize(cuts.top_k);
  if (cuts.top_p < 1) {
    FallingMass total(top.octave), mass(top.octave);
    for (const Candidate& c : falling) total.add(c);
    const std::uint64_t wanted = times_fraction(total.sum(), fraction(cuts.top_p));
    std::size_t count = 0;
    do mass.add(falling[count++]);
    while (count < falling.size() && mass.sum() < wanted);
    if (within(count)) falling.resize(count);
  }
  const std::uint64_t least = std::uint64_t{top.mantissa()} * fraction(cuts.min_p) >> 24;
  std::erase_if(falling, [&](const Candidate& c) {
    return shifted(std::uint64_t{c.mantissa()} << 8, std::int64_t{top.octave} - c.octave) < least;
  });
}

/// Draws one of `kept`, by rising id, for u / 2^32 in [0, 1). Each chunk of ids is summed on the scale of its own
/// likeliest token, `chunk_tops` by chunk, then all on that of the likeliest of all.
inline std::uint32_t draw(const std::vector<Candidate>& kept, const std::vector<std::int32_t>& chunk_tops,
                          std::int64_t chunk_tokens, std::uint32_t u) {
  const std::int32_t top = *std::max_element(chunk_tops.begin(), chunk_tops.end());
  const auto chunk_of = [&](const Candidate& c) { return static_cast<std::size_t>(c.id / chunk_tokens); };
  const auto weight = [&](const Candidate& c) {
    return shifted(std::uint64_t{c.mantissa()} << 16, std::int64_t{chunk_tops[chunk_of(c)]} - c.octave);
  };
  std::vector<std::uint64_t> sums(chunk_tops.size());
  for (const Candidate& c : kept) sums[chunk_of(c)] += weight(c);
  std::uint64_t total = 0;
  for (std::size_t chunk = 0; chunk < sums.size(); ++chunk)
    total += shifted(sums[chunk], std::int64_t{top} - chunk_tops[chunk]);
  std::uint64_t left = times_fraction(total, u);
  std::size_t chunk = 0;
  for (;; ++chunk) {
    const std::uint64_t sum = shifted(sums[chunk], std::int64_t{top} - chunk_tops[chunk]);
    if (left < sum) break;
    left -= sum;
  }
  left <<= top - chunk_tops[chunk];
  for (const Candidate& c : kept) {
    if (chunk_of(c) != chunk) continue;
    if (left < weight(c)) return c.id;
    left -= weight(c);
  }
  return kNoToken;  // not reached: left is less than the chunk's sum
}

}  // namespace fabula::reference
