#pragma once
#include <cstdint>
#include <vector>

#include "base/philox.hpp"
#include "compress/linear.hpp"

namespace fabula::compress {

/// A linear with inputs whose numbers are small whole ones and go together, so that its moments and means, and sums of
/// products with them, are exact in double.
struct RandomLinear {
  std::int64_t outputs, inputs;
  std::int64_t rows = 0;
  std::vector<float> weights;
  std::vector<double> x;  ///< [rows, inputs]
  std::vector<double> moments, means;

  /// `samples` is a power of two.
  RandomLinear(std::int64_t o, std::int64_t i, std::int64_t samples, std::uint64_t seed)
      : outputs(o), inputs(i), rows(samples) {
    Philox random(seed);
    const auto n = static_cast<std::size_t>(i);
    for (std::int64_t k = 0; k < o * i; ++k) weights.push_back(static_cast<float>(random.normal()));
    for (std::int64_t r = 0; r < samples; ++r) {
      const auto shared = static_cast<double>(random.below(5));
      for (std::size_t c = 0; c < n; ++c)
        x.push_back(static_cast<double>(random.below(7)) - 2 + (c % 3 == 0 ? shared : -shared) * (c % 5 == 0 ? 2 : 1));
    }
    measure();
  }
  /// Moments and means of x as it is now.
  void measure() {
    const auto n = static_cast<std::size_t>(inputs);
    moments.assign(n * n, 0);
    means.assign(n, 0);
    for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r)
      for (std::size_t a = 0; a < n; ++a) {
        means[a] += x[r * n + a] / static_cast<double>(rows);
        for (std::size_t b = 0; b < n; ++b)
          moments[a * n + b] += x[r * n + a] * x[r * n + b] / static_cast<double>(rows);
      }
  }
  void kill_input(std::int64_t input) {
    for (std::int64_t r = 0; r < rows; ++r) x[static_cast<std::size_t>(r * inputs + input)] = 0;
    measure();
  }
  Linear linear() const { return {outputs, inputs, weights, moments, {}}; }
  Linear with_means() const { return {outputs, inputs, weights, moments, means}; }
};

}  // namespace fabula::compress
