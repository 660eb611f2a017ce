#pragma once
#include <cstdint>
#include <span>

#include "base/half.hpp"
#include "compress/group_codes.hpp"

namespace fabula::compress {

/// The values that a group's codes stand for.
struct GroupScale {
  std::uint16_t scale = 0, offset = 0;  ///< fp16

  double value(const GroupFormat& format, int code) const;
  /// The nearest code; of two the larger.
  int nearest(const GroupFormat& format, double number) const;
};

/// For the weights of a group, in which weight i has the second moment moments[i]. Error kNumeric for a scale or an
/// offset beyond fp16.
GroupScale group_scale(const GroupOptions& options, std::span<const double> weights, std::span<const double> moments);

/// Error kInvalidArgument.
void check(const GroupFormat& format);

/// Codes for a linear, all zero.
GroupCodes empty_codes(const Linear& linear, const GroupFormat& format);

/// W in double, zero where an input never was anything else. [outputs, inputs]
std::vector<double> live_weights(const Linear& linear);

}  // namespace fabula::compress
