#pragma once
#include <cmath>

// GELU by its tanh approximation, and its derivative.
namespace fabula::reference {

inline constexpr double kGeluScale = 0.79788456080286536, kGeluCubic = 0.044715;  // the first is sqrt(2 / pi)

inline double gelu_of(double x) {
  return 0.5 * x * (1 + std::tanh(kGeluScale * (x + kGeluCubic * x * x * x)));
}

inline double gelu_slope(double x) {
  const double t = std::tanh(kGeluScale * (x + kGeluCubic * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * kGeluScale * (1 + 3 * kGeluCubic * x * x);
}

}  // namespace fabula::reference
