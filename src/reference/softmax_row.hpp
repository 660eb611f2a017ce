#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

namespace fabula::reference {

/// Softmax of `count` numbers x(0), x(1), ...: the statistics that the losses of the heads share.
struct SoftmaxRow {
  double log_sum_exp = 0;
  bool finite = true;
  double log_p(double x) const { return finite ? x - log_sum_exp : std::numeric_limits<double>::quiet_NaN(); }
};

template <class Entry>
SoftmaxRow softmax_row(std::int64_t count, const Entry& x) {
  double maximum = -std::numeric_limits<double>::infinity(), sum = 0;
  SoftmaxRow row;
  for (std::int64_t i = 0; i < count; ++i) {
    maximum = std::max(maximum, static_cast<double>(x(i)));
    row.finite = row.finite && std::isfinite(x(i));
  }
  for (std::int64_t i = 0; i < count; ++i) sum += std::exp(x(i) - maximum);
  row.finite = row.finite && count > 0;
  row.log_sum_exp = row.finite ? maximum + std::log(sum) : std::numeric_limits<double>::quiet_NaN();
  return row;
}

/// Is `label` the first of the largest among x(0), x(1), ...?
template <class Entry>
bool is_argmax(std::int64_t count, std::int64_t label, const Entry& x) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (x(i) > x(label) || (x(i) == x(label) && i < label)) return false;
  }
  return true;
}

}  // namespace fabula::reference
