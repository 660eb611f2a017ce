#pragma once
#include <concepts>
#include <type_traits>

// Division of counts, which are not negative.
namespace fabula {

/// a / b, rounded up.
template <std::integral T>
constexpr T ceil_div(T a, std::type_identity_t<T> b) {
  return (a + b - 1) / b;
}

/// The smallest multiple of b that is not below a.
template <std::integral T>
constexpr T round_up(T a, std::type_identity_t<T> b) {
  return ceil_div(a, b) * b;
}

}  // namespace fabula
