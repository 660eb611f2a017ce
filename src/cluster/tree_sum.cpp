#include "cluster/tree_sum.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/fail.hpp"

namespace fabula::cluster {
namespace {

constexpr std::size_t kCachedNumbers = 4096;  // of every part, so that a tree reads memory once

float without_subnormal(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits & 0x7F800000u) == 0 ? bits & 0x80000000u : bits);
}

void add(std::span<float> sum, std::span<const float> part, bool flush) {
  if (!flush)
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  else
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] = without_subnormal(without_subnormal(sum[i]) + without_subnormal(part[i]));
}

void add_cached(std::span<const std::span<float>> parts, bool flush) {
  if (parts.size() < 2) return;
  const std::size_t split = std::bit_floor(parts.size() - 1);
  add_cached(parts.first(split), flush);
  add_cached(parts.subspan(split), flush);
  add(parts.front(), parts[split], flush);
}

}  // namespace

void add_in_tree(std::span<const std::span<float>> parts, bool flush) {
  if (parts.empty()) return;
  const std::size_t length = parts.front().size();
  for (const std::span<float> part : parts)
    ensure(part.size() == length, "{} numbers are added to {}", part.size(), length);
  std::vector<std::span<float>> cached(parts.size());
  for (std::size_t begin = 0; begin < length; begin += kCachedNumbers) {
    const std::size_t count = std::min(kCachedNumbers, length - begin);
    std::transform(parts.begin(), parts.end(), cached.begin(),
                   [&](std::span<float> part) { return part.subspan(begin, count); });
    add_cached(cached, flush);
  }
}

}  // namespace fabula::cluster
