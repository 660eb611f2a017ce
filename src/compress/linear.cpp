#include "compress/linear.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "base/fail.hpp"
#include "compress/dense.hpp"
#include "compress/steps.hpp"

namespace fabula::compress {
namespace {

constexpr std::int64_t kErrorRows = 64;

template <class T>
void check_finite(std::span<const T> values, std::string_view what, std::int64_t columns) {
  const auto at = std::find_if(values.begin(), values.end(), [](T x) { return !std::isfinite(x); });
  if (at == values.end()) return;
  const std::int64_t index = at - values.begin();
  fail(ErrorCode::kNumeric, "{} of a linear: the number at [{}, {}] is not finite", what, index / columns,
       index % columns);
}

// The sum over rows of d Sigma d^T, d the rows of W, or of W less those of `fitted`.
double quadratic(const Linear& linear, std::span<const float> fitted, const Work& work) {
  const std::int64_t columns = linear.inputs;
  std::vector<double> sums(static_cast<std::size_t>(linear.outputs), 0.0);
  for_each_block(work, Part::none(), linear.outputs, kErrorRows, [&](std::int64_t first, std::int64_t n) {
    const auto begin = static_cast<std::size_t>(first * columns);
    std::vector<double> rows = widened(linear.weights.subspan(begin, static_cast<std::size_t>(n * columns)));
    if (!fitted.empty())
      for (std::size_t i = 0; i < rows.size(); ++i) rows[i] -= fitted[begin + i];
    std::vector<double> weighed = rows;
    if (!linear.moments.empty()) multiply(view(rows, n, columns), moments(linear), view(weighed, n, columns));
    for (std::size_t i = 0; i < rows.size(); ++i)
      sums[static_cast<std::size_t>(first) + i / static_cast<std::size_t>(columns)] += rows[i] * weighed[i];
  });
  double sum = 0;
  for (const double row : sums) sum += row;
  return std::max(sum, 0.0);
}

}  // namespace

View<const double> moments(const Linear& linear) {
  return view(linear.moments, linear.inputs, linear.inputs);
}

void check(const Linear& linear) {
  const std::int64_t outputs = linear.outputs, inputs = linear.inputs;
  const bool sizes = outputs > 0 && inputs > 0 && std::ssize(linear.weights) == outputs * inputs &&
                     (linear.moments.empty() || std::ssize(linear.moments) == inputs * inputs) &&
                     (linear.means.empty() || std::ssize(linear.means) == inputs);
  if (!sizes)
    fail(ErrorCode::kInvalidArgument,
         "a linear of {} outputs and {} inputs with {} weights, {} second moments and {} means: expected {}, {} and {}",
         outputs, inputs, linear.weights.size(), linear.moments.size(), linear.means.size(), outputs * inputs,
         inputs * inputs, inputs);
  check_finite(linear.weights, "weights", inputs);
  check_finite(linear.moments, "second moments", inputs);
  check_finite(linear.means, "means", inputs);
  for (std::int64_t i = 0; i < inputs; ++i)
    if (second_moment(linear, i) < 0)
      fail(ErrorCode::kNumeric, "second moments of a linear: that of input {} is {}, below zero", i,
           second_moment(linear, i));
}

double signal(const Linear& linear, const Work& work) {
  return quadratic(linear, {}, work);
}

FitError fit_error(const Linear& linear, std::span<const float> fitted, const Work& work) {
  ensure(fitted.size() == linear.weights.size(), "{} fitted weights for {}", fitted.size(), linear.weights.size());
  return {quadratic(linear, fitted, work), signal(linear, work)};
}

}  // namespace fabula::compress
