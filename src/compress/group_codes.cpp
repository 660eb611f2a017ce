#include "compress/group_codes.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "compress/group_scale.hpp"
#include "compress/steps.hpp"

namespace fabula::compress {
namespace {

constexpr std::int64_t kRoundedRows = 16;

}  // namespace

std::vector<float> expand(const GroupCodes& of) {
  std::vector<float> numbers(of.codes.size());
  const auto columns = static_cast<std::size_t>(of.inputs), group = static_cast<std::size_t>(of.format.group);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t at = i / columns * static_cast<std::size_t>(of.groups()) + i % columns / group;
    const GroupScale scale{of.scales[at], of.offsets.empty() ? std::uint16_t{0} : of.offsets[at]};
    numbers[i] = static_cast<float>(scale.value(of.format, of.codes[i]));
  }
  return numbers;
}

GroupFit round_to_nearest(const Linear& linear, const GroupOptions& options, const Work& work) {
  check(linear);
  check(options.format);
  GroupFit fit{.codes = empty_codes(linear, options.format), .error = {}};
  GroupCodes& codes = fit.codes;
  const std::vector<double> weights = live_weights(linear);
  std::vector<double> moments(static_cast<std::size_t>(linear.inputs));
  for (std::int64_t i = 0; i < linear.inputs; ++i) moments[static_cast<std::size_t>(i)] = second_moment(linear, i);
  for_each_block(work, {}, linear.outputs, kRoundedRows, [&](std::int64_t first, std::int64_t n) {
    for (std::int64_t at = first * codes.groups(); at < (first + n) * codes.groups(); ++at) {
      const std::int64_t row = at / codes.groups(), column = at % codes.groups() * options.format.group;
      const auto width = static_cast<std::size_t>(std::min(options.format.group, linear.inputs - column));
      const auto begin = static_cast<std::size_t>(row * linear.inputs + column);
      const std::span<const double> group = std::span(weights).subspan(begin, width);
      const GroupScale scale = group_scale(
          options, group, std::span<const double>(moments).subspan(static_cast<std::size_t>(column), width));
      codes.scales[static_cast<std::size_t>(at)] = scale.scale;
      if (options.format.offsets) codes.offsets[static_cast<std::size_t>(at)] = scale.offset;
      for (std::size_t i = 0; i < width; ++i)
        codes.codes[begin + i] = static_cast<std::uint8_t>(scale.nearest(options.format, group[i]));
    }
  });
  fit.error = fit_error(linear, expand(codes), work);
  return fit;
}

}  // namespace fabula::compress
