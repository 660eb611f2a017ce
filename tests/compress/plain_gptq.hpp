#pragma once
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "compress/group_codes.hpp"
#include "compress/group_scale.hpp"

namespace fabula::compress {

/// X with A X = B by elimination; A [n, n], B [n, m].
inline std::vector<double> solved(std::vector<double> a, std::vector<double> b, std::size_t n, std::size_t m) {
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t r = k; r < n; ++r)
      if (std::abs(a[r * n + k]) > std::abs(a[pivot * n + k])) pivot = r;
    for (std::size_t c = 0; c < n; ++c) std::swap(a[k * n + c], a[pivot * n + c]);
    for (std::size_t c = 0; c < m; ++c) std::swap(b[k * m + c], b[pivot * m + c]);
    for (std::size_t r = 0; r < n; ++r) {
      if (r == k) continue;
      const double factor = a[r * n + k] / a[k * n + k];
      for (std::size_t c = 0; c < n; ++c) a[r * n + c] -= factor * a[k * n + c];
      for (std::size_t c = 0; c < m; ++c) b[r * m + c] -= factor * b[k * m + c];
    }
  }
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < m; ++c) b[r * m + c] /= a[r * n + r];
  return b;
}

/// GPTQ as it is meant: an input is rounded, then all weights that are still free are fitted anew to those that are
/// fixed, w_R = v_R + (v_F - q_F) S_FR S_RR^-1, with v the original weights and S the damped moments.
inline GroupCodes plain_gptq(const Linear& linear, const GptqOptions& options) {
  const auto n = static_cast<std::size_t>(linear.inputs);
  const GroupFormat& format = options.groups.format;
  const auto group = static_cast<std::size_t>(format.group);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (options.by_activation)
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return linear.moments[a * n + a] > linear.moments[b * n + b];
    });
  double mean = 0;
  for (std::size_t i = 0; i < n; ++i) mean += linear.moments[i * n + i] / static_cast<double>(n);
  const auto s = [&](std::size_t a, std::size_t b) {
    return linear.moments[order[a] * n + order[b]] + (a == b ? options.damping * mean : 0);
  };
  GroupCodes codes = empty_codes(linear, format);
  const auto groups = static_cast<std::size_t>(codes.groups());
  for (std::size_t row = 0; row < static_cast<std::size_t>(linear.outputs); ++row) {
    std::vector<double> original(n), now(n);  // by input; by order
    for (std::size_t i = 0; i < n; ++i) original[i] = linear.weights[row * n + i];
    for (std::size_t i = 0; i < n; ++i) now[i] = original[order[i]];
    const auto set_scale = [&](std::size_t g, const std::vector<double>& from) {
      const std::size_t begin = g * group, width = std::min(group, n - begin);
      std::vector<double> moments;
      for (std::size_t i = begin; i < begin + width; ++i) moments.push_back(linear.moments[i * n + i]);
      const GroupScale scale = group_scale(options.groups, std::span(from).subspan(begin, width), moments);
      codes.scales[row * groups + g] = scale.scale;
      if (format.offsets) codes.offsets[row * groups + g] = scale.offset;
    };
    if (options.by_activation)
      for (std::size_t g = 0; g < groups; ++g) set_scale(g, original);
    std::vector<double> off(n);  // v - q of what is fixed, by order
    for (std::size_t j = 0; j < n; ++j) {
      const std::size_t g = order[j] / group;
      if (!options.by_activation && j % group == 0) set_scale(g, now);
      const GroupScale scale{codes.scales[row * groups + g],
                             format.offsets ? codes.offsets[row * groups + g] : std::uint16_t{0}};
      const int code = scale.nearest(format, now[j]);
      codes.codes[row * n + order[j]] = static_cast<std::uint8_t>(code);
      off[j] = original[order[j]] - scale.value(format, code);
      const std::size_t fixed = j + 1, free = n - fixed;
      std::vector<double> a(free * free), b(free);
      for (std::size_t r = 0; r < free; ++r) {
        for (std::size_t c = 0; c < free; ++c) a[r * free + c] = s(fixed + r, fixed + c);
        for (std::size_t f = 0; f < fixed; ++f) b[r] += off[f] * s(f, fixed + r);
      }
      const std::vector<double> moved = solved(a, b, free, 1);
      for (std::size_t r = 0; r < free; ++r) now[fixed + r] = original[order[fixed + r]] + moved[r];
    }
  }
  return codes;
}

}  // namespace fabula::compress
