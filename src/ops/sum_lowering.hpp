#pragma once
#include <string>
#include <vector>

#include "graph/op.hpp"

namespace fabula::ops {

/// Words that one workgroup of a sum's first stage takes; a value of no more needs no first stage.
inline constexpr std::int64_t kSumSlice = 8192;

/// Partial sums of the first stage: each row block of x rounds up on its own, so that this is a bound for any cut into
/// blocks.
inline std::int64_t sum_partials(const graph::Shape& x) {
  const std::int64_t blocks = (x.rows + 63) / 64;  // row blocks start at multiples of 64 rows
  return x.padded() / kSumSlice + blocks;
}

inline std::vector<graph::Shape> sum_scratch(const graph::Shape& x) {
  if (x.padded() <= kSumSlice) return {};
  return {{1, sum_partials(x)}};
}

/// Sums all of x [rows, cols] into y [1, 1] in a fixed order; `last_shader` is the last stage's kernel, `factor` its
/// optional third binding. `partials`: sum_scratch(shape), absent where there is none.
inline void lower_sum(graph::LowerCall& call, graph::Value x, const graph::Shape& shape, graph::Value y,
                      graph::Value partials, const std::string& last_shader, graph::Value factor = {}) {
  struct Push {
    std::uint32_t vec4_count, slice4, first_sum, sums;
  };
  graph::Value rest = x;
  std::uint32_t rest4 = static_cast<std::uint32_t>(shape.padded() / 4);
  if (shape.padded() > kSumSlice) {
    const std::vector<graph::RowBlock> blocks = call.row_blocks({x});
    const auto slices = [&](const graph::RowBlock& block) {
      return (block.size() * shape.ld() + kSumSlice - 1) / kSumSlice;
    };
    std::int64_t sums = 0, first = 0;
    for (const graph::RowBlock& block : blocks) sums += slices(block);
    for (const graph::RowBlock& block : blocks) {
      call.dispatch(graph::Launch{.shader = "sum_all",
                                  .bindings = {graph::Window(x, block.begin, block.end), partials},
                                  .groups = graph::LowerCall::grid(slices(block))},
                    Push{std::uint32_t(block.size() * shape.ld() / 4), std::uint32_t(kSumSlice / 4),
                         std::uint32_t(first), std::uint32_t(sums)});
      first += slices(block);
    }
    rest = partials;
    rest4 = static_cast<std::uint32_t>((sums + 3) / 4);
  }
  graph::Launch last{.shader = last_shader, .bindings = {rest, y}};
  if (factor) last.bindings.emplace_back(factor);
  call.dispatch(last, Push{rest4, rest4, 0, 1});
}

/// The same for input 0, output 0 and scratch 0.
inline void lower_sum(graph::LowerCall& call, const std::string& last_shader, graph::Value factor = {}) {
  const graph::Shape x = call.in(0);
  lower_sum(call, call.input(0), x, call.output(), sum_scratch(x).empty() ? graph::Value{} : call.scratch(0),
            last_shader, factor);
}

}  // namespace fabula::ops
