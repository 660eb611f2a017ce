#include "base/checksum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/mapped_file.hpp"

namespace fabula {
namespace {

// The five primes of the specification; lanes start at p1 + p2, p2, 0 and -p1.
constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87ull, kPrime2 = 0xC2B2AE3D27D4EB4Full,
                        kPrime3 = 0x165667B19E3779F9ull, kPrime4 = 0x85EBCA77C2B2AE63ull,
                        kPrime5 = 0x27D4EB2F165667C5ull;
static_assert(kPrime1 + kPrime2 == 0x60EA27EEADC0B5D6ull && 0 - kPrime1 == 0x61C8864E7A143579ull);
static_assert(std::endian::native == std::endian::little, "words are read without swapping");

template <class Word>
std::uint64_t word_at(const std::byte* bytes) {
  Word word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

std::uint64_t round(std::uint64_t lane, std::uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

std::uint64_t merge(std::uint64_t hash, std::uint64_t lane) {
  return (hash ^ round(0, lane)) * kPrime1 + kPrime4;
}

}  // namespace

void Checksum::add(std::span<const std::byte> bytes) {
  const auto mix = [](std::array<std::uint64_t, 4>& lanes, const std::byte* stripe) {
    for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] = round(lanes[i], word_at<std::uint64_t>(stripe + 8 * i));
  };
  const std::size_t waiting = size_ % kStripeBytes;
  size_ += bytes.size();
  if (waiting > 0) {
    const std::size_t taken = std::min(bytes.size(), kStripeBytes - waiting);
    std::copy_n(bytes.begin(), taken, rest_.begin() + static_cast<std::ptrdiff_t>(waiting));
    bytes = bytes.subspan(taken);
    if (waiting + taken < kStripeBytes) return;
    mix(lanes_, rest_.data());
  }
  std::array<std::uint64_t, 4> lanes = lanes_;  // in registers while it loops
  for (; bytes.size() >= kStripeBytes; bytes = bytes.subspan(kStripeBytes)) mix(lanes, bytes.data());
  lanes_ = lanes;
  std::copy(bytes.begin(), bytes.end(), rest_.begin());
}

std::uint64_t Checksum::value() const {
  std::uint64_t hash = kPrime5;
  if (size_ >= kStripeBytes) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = merge(hash, lane);
  }
  hash += size_;
  std::size_t left = size_ % kStripeBytes;
  const std::byte* at = rest_.data();
  for (; left >= 8; left -= 8, at += 8)
    hash = std::rotl(hash ^ round(0, word_at<std::uint64_t>(at)), 27) * kPrime1 + kPrime4;
  for (; left >= 4; left -= 4, at += 4)
    hash = std::rotl(hash ^ word_at<std::uint32_t>(at) * kPrime1, 23) * kPrime2 + kPrime3;
  for (; left > 0; --left, ++at) hash = std::rotl(hash ^ word_at<std::uint8_t>(at) * kPrime5, 11) * kPrime1;
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

std::uint64_t checksum(std::span<const std::byte> bytes) {
  Checksum sum;
  sum.add(bytes);
  return sum.value();
}

std::uint64_t file_checksum(const std::filesystem::path& path) {
  const MappedFile file(path);
  return file.checked([&] { return checksum(file.bytes()); });
}

std::string checksum_text(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

}  // namespace fabula
