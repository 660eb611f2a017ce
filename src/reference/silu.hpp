#pragma once
#include <cmath>

// x sigmoid(x), and its derivative.
namespace fabula::reference {

inline double silu_of(double x) {
  return x / (1 + std::exp(-x));
}

inline double silu_slope(double x) {
  const double s = 1 / (1 + std::exp(-x));
  return s + x * s * (1 - s);
}

}  // namespace fabula::reference
