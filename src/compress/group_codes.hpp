#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "compress/linear.hpp"

// Weights as whole numbers of few bits with a scale, and perhaps an offset, for each group of consecutive inputs.
namespace fabula::compress {

struct GroupFormat {
  int bits = 4;             ///< 2 to 8
  std::int64_t group = 32;  ///< inputs that share a scale; a row's last group may be shorter
  /// Without offsets a code q stands for scale * (q - 2^(bits - 1)), which has zero among its values: GGUF's Q4_0 with
  /// 4 bits. Otherwise for scale * q + offset: Q4_1.
  bool offsets = false;
};

struct GroupCodes {
  GroupFormat format = {};
  std::int64_t outputs = 0, inputs = 0;
  std::vector<std::uint8_t> codes = {};     ///< [outputs, inputs], each below 2^bits
  std::vector<std::uint16_t> scales = {};   ///< [outputs, groups()], fp16
  std::vector<std::uint16_t> offsets = {};  ///< [outputs, groups()], fp16; empty without

  std::int64_t groups() const { return (inputs + format.group - 1) / format.group; }
};

/// The numbers that they stand for, [outputs, inputs]: one product in fp32, and with offsets one sum.
std::vector<float> expand(const GroupCodes& of);

struct GroupFit {
  GroupCodes codes = {};
  FitError error = {};
};

struct GroupOptions {
  GroupFormat format = {};
  /// Scales (and offsets) are not those that reach a group's extremes but, of a few narrower ones, those with the least
  /// squared error of rounding, each input weighing its second moment.
  bool narrow = false;
};

/// Each weight to the nearest value of its group. Errors: kInvalidArgument for a format that there is not; kNumeric for
/// a number that is not finite, or a scale beyond fp16.
GroupFit round_to_nearest(const Linear& linear, const GroupOptions& options, const Work& work = {});

struct GptqOptions {
  GroupOptions groups;
  /// Inputs are rounded by falling second moment, with scales of the weights as they were; otherwise in their order,
  /// with scales of the weights as they are when their group begins.
  bool by_activation = true;
  /// What is added to each second moment, in parts of their mean. A matrix that still cannot be factored gets ten
  /// times as much, again and again.
  double damping = 0.01;
};

/// Input after input is rounded, and what that did to the outputs is taken up by the inputs that are still to be
/// rounded (Frantar et al., "GPTQ", 2022). Inputs that were always zero have weights that are zero, or next to it.
/// Errors as round_to_nearest.
GroupFit gptq(const Linear& linear, const GptqOptions& options, const Work& work = {});

}  // namespace fabula::compress
