#include "compress/group_scale.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "compress/dense.hpp"

namespace fabula::compress {
namespace {

constexpr int kNarrower = 12;         // scales that are tried beside the widest,
constexpr double kNarrowStep = 0.04;  // each narrower by this part of it
constexpr int kBytes = 8;             // bits from which a code for one more negative value buys nothing

int middle(const GroupFormat& format) {
  return format.offsets ? 0 : 1 << (format.bits - 1);
}
int largest(const GroupFormat& format) {
  return (1 << format.bits) - 1;
}

std::uint16_t stored(double value) {
  const std::uint16_t half = float_to_half(static_cast<float>(value));
  if (!std::isfinite(half_to_float(half)))
    fail(ErrorCode::kNumeric, "a group's scale or offset of {} is beyond fp16; weights of this size need floats",
         value);
  return half;
}

// With offsets the ends of the values, lowest first; otherwise zero and the weight of the largest magnitude, with its
// sign: the one value that lies further from zero than all of the other sign then serves the side that needs it.
struct Extremes {
  double low = 0, high = 0;
};
Extremes extremes(const GroupFormat& format, std::span<const double> weights) {
  const auto [low, high] = std::minmax_element(weights.begin(), weights.end());
  if (format.offsets) return {*low, *high};
  return {0, std::abs(*low) > std::abs(*high) ? *low : *high};
}

GroupScale scale_for(const GroupFormat& format, const Extremes& ends, double width) {
  if (format.offsets) {
    const double centre = (ends.low + ends.high) / 2, half_range = (ends.high - ends.low) / 2 * width;
    return {stored(2 * half_range / largest(format)), stored(centre - half_range)};
  }
  const double extreme = ends.high * width;
  if (format.bits >= kBytes) return {stored(std::abs(extreme) / (middle(format) - 1)), 0};
  return {stored(-extreme / middle(format)), 0};
}

double rounding_error(const GroupFormat& format, const GroupScale& scale, std::span<const double> weights,
                      std::span<const double> moments) {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double off = weights[i] - scale.value(format, scale.nearest(format, weights[i]));
    sum += moments[i] * off * off;
  }
  return sum;
}

}  // namespace

double GroupScale::value(const GroupFormat& format, int code) const {
  const float product = half_to_float(scale) * static_cast<float>(code - middle(format));
  return format.offsets ? product + half_to_float(offset) : product;
}

int GroupScale::nearest(const GroupFormat& format, double number) const {
  const double step = half_to_float(scale);
  if (step == 0) return middle(format);
  const int fewest = !format.offsets && format.bits >= kBytes ? 1 : 0;
  const double steps = (number - (format.offsets ? half_to_float(offset) : 0)) / step + middle(format);
  return static_cast<int>(std::clamp(std::floor(steps + 0.5), double(fewest), double(largest(format))));
}

GroupScale group_scale(const GroupOptions& options, std::span<const double> weights, std::span<const double> moments) {
  const Extremes ends = extremes(options.format, weights);
  GroupScale best = scale_for(options.format, ends, 1);
  if (!options.narrow) return best;
  double least = rounding_error(options.format, best, weights, moments);
  for (int step = 1; step <= kNarrower; ++step) {
    const GroupScale tried = scale_for(options.format, ends, 1 - kNarrowStep * step);
    const double error = rounding_error(options.format, tried, weights, moments);
    if (error >= least) continue;
    least = error;
    best = tried;
  }
  return best;
}

void check(const GroupFormat& format) {
  if (format.bits < 2 || format.bits > kBytes || format.group < 1)
    fail(ErrorCode::kInvalidArgument, "codes of {} bits in groups of {}: there are 2 to {} bits, and groups from 1 on",
         format.bits, format.group, kBytes);
}

GroupCodes empty_codes(const Linear& linear, const GroupFormat& format) {
  GroupCodes codes{.format = format, .outputs = linear.outputs, .inputs = linear.inputs};
  codes.codes.resize(linear.weights.size());
  codes.scales.resize(static_cast<std::size_t>(linear.outputs * codes.groups()));
  if (format.offsets) codes.offsets.resize(codes.scales.size());
  return codes;
}

std::vector<double> live_weights(const Linear& linear) {
  std::vector<double> weights = widened(linear.weights);
  for (std::int64_t input = 0; input < linear.inputs; ++input)
    if (second_moment(linear, input) == 0)
      for (std::int64_t output = 0; output < linear.outputs; ++output)
        weights[static_cast<std::size_t>(output * linear.inputs + input)] = 0;
  return weights;
}

}  // namespace fabula::compress
