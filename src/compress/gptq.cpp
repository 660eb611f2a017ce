#include <algorithm>
#include <numeric>

#include "base/fail.hpp"
#include "compress/dense.hpp"
#include "compress/group_codes.hpp"
#include "compress/group_scale.hpp"
#include "compress/steps.hpp"

namespace fabula::compress {
namespace {

constexpr std::int64_t kColumnsAtOnce = 128;  // whose errors go to later columns in one product
constexpr std::int64_t kGptqRows = 32;
constexpr double kMostDamping = 1e6;

// The inputs in the order in which they are rounded.
std::vector<std::int64_t> rounding_order(const Linear& linear, bool by_activation) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(linear.inputs));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  if (by_activation)
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return second_moment(linear, a) > second_moment(linear, b);
    });
  return order;
}

// Sigma in the given order, with `damping` times the mean second moment on its diagonal; a dead input stands alone.
std::vector<double> damped_moments(const Linear& linear, const std::vector<std::int64_t>& order, double damping) {
  const auto n = static_cast<std::size_t>(linear.inputs);
  double mean = 0;
  for (std::int64_t i = 0; i < linear.inputs; ++i) mean += second_moment(linear, i) / static_cast<double>(n);
  std::vector<double> result(n * n);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < n; ++c)
      result[r * n + c] = linear.moments[static_cast<std::size_t>(order[r]) * n + static_cast<std::size_t>(order[c])];
  for (std::size_t r = 0; r < n; ++r) {
    if (result[r * n + r] == 0) {
      for (std::size_t c = 0; c < n; ++c) result[r * n + c] = result[c * n + r] = 0;
      result[r * n + r] = mean > 0 ? mean : 1;
    }
    result[r * n + r] += damping * mean;
  }
  return result;
}

// The upper U with U^T U = (Sigma + damping)^-1, in the given order. [inputs, inputs]
std::vector<double> error_spread(const Linear& linear, const std::vector<std::int64_t>& order, double damping) {
  for (double used = damping; used<kMostDamping; used = used> 0 ? 10 * used : 1e-8) {
    const std::vector<double> moments = damped_moments(linear, order, used);
    std::vector<double> upper = inverse_cholesky(view(moments, linear.inputs, linear.inputs));
    if (!upper.empty()) return upper;
  }
  fail(ErrorCode::kNumeric, "the second moments of {} inputs cannot be factored: they are not those of any inputs",
       linear.inputs);
}

// Some rows of a linear, and how far they are.
class RowRounder {
 public:
  RowRounder(const Linear& linear, const GptqOptions& options, const std::vector<std::int64_t>& order,
             const std::vector<double>& spread, std::int64_t first, std::int64_t rows, GroupCodes& codes)
      : linear_(linear),
        options_(options),
        order_(order),
        spread_(view(spread, linear.inputs, linear.inputs)),
        first_(first),
        rows_(rows),
        codes_(codes) {}

  /// `live`: the linear's weights in double, in the order of their inputs.
  void run(const std::vector<double>& live) {
    const std::int64_t inputs = linear_.inputs, group = options_.groups.format.group;
    weights_.resize(static_cast<std::size_t>(rows_ * inputs));
    for (std::int64_t r = 0; r < rows_; ++r)
      for (std::int64_t c = 0; c < inputs; ++c)
        weights_[at(r, c)] =
            live[static_cast<std::size_t>((first_ + r) * inputs + order_[static_cast<std::size_t>(c)])];
    if (options_.by_activation) fix_scales(live);
    const std::int64_t width = group * std::max<std::int64_t>(1, kColumnsAtOnce / group);
    for (std::int64_t column = 0; column < inputs; column += width)
      round_columns(column, std::min(width, inputs - column));
  }

 private:
  std::size_t at(std::int64_t row, std::int64_t column) const {
    return static_cast<std::size_t>(row * linear_.inputs + column);
  }
  std::size_t scale_at(std::int64_t row, std::int64_t group) const {
    return static_cast<std::size_t>((first_ + row) * codes_.groups() + group);
  }

  void set_scale(std::int64_t row, std::int64_t group, std::span<const double> weights) {
    std::vector<double> moments(weights.size());
    for (std::size_t i = 0; i < moments.size(); ++i)
      moments[i] = second_moment(linear_, group * options_.groups.format.group + static_cast<std::int64_t>(i));
    const GroupScale scale = group_scale(options_.groups, weights, moments);
    codes_.scales[scale_at(row, group)] = scale.scale;
    if (!codes_.offsets.empty()) codes_.offsets[scale_at(row, group)] = scale.offset;
  }
  GroupScale scale(std::int64_t row, std::int64_t group) const {
    const std::size_t index = scale_at(row, group);
    return {codes_.scales[index], codes_.offsets.empty() ? std::uint16_t{0} : codes_.offsets[index]};
  }

  void fix_scales(const std::vector<double>& live) {
    const std::int64_t width = options_.groups.format.group;
    for (std::int64_t r = 0; r < rows_; ++r)
      for (std::int64_t g = 0; g < codes_.groups(); ++g)
        set_scale(r, g,
                  std::span(live).subspan(static_cast<std::size_t>((first_ + r) * linear_.inputs + g * width),
                                          static_cast<std::size_t>(std::min(width, linear_.inputs - g * width))));
  }

  void round_columns(std::int64_t begin, std::int64_t width) {
    std::vector<double> errors(static_cast<std::size_t>(rows_ * width));
    const std::int64_t group = options_.groups.format.group, inputs = linear_.inputs;
    for (std::int64_t j = 0; j < width; ++j) {
      const std::int64_t column = begin + j;
      for (std::int64_t r = 0; r < rows_; ++r) {
        if (!options_.by_activation && column % group == 0)
          set_scale(
              r, column / group,
              std::span(weights_).subspan(at(r, column), static_cast<std::size_t>(std::min(group, inputs - column))));
        errors[static_cast<std::size_t>(r * width + j)] = round_one(r, column, begin + width);
      }
    }
    const std::int64_t rest = inputs - begin - width;
    if (rest > 0)
      add_product(-1.0, view(errors, rows_, width), spread_.part(begin, begin + width, width, rest),
                  view(weights_, rows_, inputs).part(0, begin + width, rows_, rest));
  }

  // Rounds a weight and moves those behind it, as far as `end`. Returns the error in units of U's diagonal.
  double round_one(std::int64_t row, std::int64_t column, std::int64_t end) {
    const GroupFormat& format = options_.groups.format;
    const std::int64_t input = order_[static_cast<std::size_t>(column)];
    const GroupScale values = scale(row, input / format.group);
    const double weight = weights_[at(row, column)];
    const int code = values.nearest(format, weight);
    codes_.codes[at(first_ + row, input)] = static_cast<std::uint8_t>(code);
    const double* const spread = spread_.row(column);
    const double error = (weight - values.value(format, code)) / spread[column];
    double* const weights = weights_.data() + at(row, 0);
    for (std::int64_t c = column + 1; c < end; ++c) weights[c] -= error * spread[c];
    return error;
  }

  const Linear& linear_;
  const GptqOptions& options_;
  const std::vector<std::int64_t>& order_;
  View<const double> spread_;
  std::int64_t first_, rows_;
  GroupCodes& codes_;
  std::vector<double> weights_;  // [rows, inputs] in the order of rounding
};

}  // namespace

GroupFit gptq(const Linear& linear, const GptqOptions& options, const Work& work) {
  if (linear.moments.empty()) return round_to_nearest(linear, options.groups, work);
  check(linear);
  check(options.groups.format);
  if (!(options.damping >= 0))
    fail(ErrorCode::kInvalidArgument, "a damping of {}: expected 0 or more", options.damping);
  GroupFit fit{.codes = empty_codes(linear, options.groups.format), .error = {}};
  const std::vector<double> live = live_weights(linear);
  const std::vector<std::int64_t> order = rounding_order(linear, options.by_activation);
  const std::vector<double> spread = error_spread(linear, order, options.damping);
  for_each_block(work, {}, linear.outputs, kGptqRows, [&](std::int64_t first, std::int64_t n) {
    RowRounder(linear, options, order, spread, first, n, fit.codes).run(live);
  });
  fit.error = fit_error(linear, expand(fit.codes), work);
  return fit;
}

}  // namespace fabula::compress
