#pragma once
#include <initializer_list>
#include <string_view>
#include <utility>

#include "base/fail.hpp"
#include "graph/op.hpp"

namespace fabula::ops {

/// The rule of an op that makes the gradients with the loss, for a mean, its output 0, whose own gradient is one:
/// outputs 1 and 2, the losses and what is right, have none. `gradients`: input and the output that is its gradient;
/// they are there where input `scale` is.
inline void hand_over_mean_gradients(graph::GradCall& call, std::string_view op, std::size_t scale,
                                     std::initializer_list<std::pair<std::size_t, std::size_t>> gradients) {
  if (call.d_output(1) || call.d_output(2))
    fail(ErrorCode::kUnsupported, "{}: only the mean of {} has a gradient", call.label(), op);
  if (!call.has_input(scale))
    fail(ErrorCode::kInvalidArgument, "{}: the gradient of {} needs its input scale", call.label(), op);
  const graph::Value d = call.d_output(0);
  for (const auto& [input, output] : gradients) {
    if (!call.has_input(input) || !call.wanted(input)) continue;
    call.add_gradient(input, call.is_one(d) ? call.output(output) : call.op1("scale_by", {call.output(output), d}));
  }
}

}  // namespace fabula::ops
