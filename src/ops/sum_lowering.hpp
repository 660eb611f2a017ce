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

/// Sums all of input 0 into output 0 in a fixed order; `last_shader` is the last stage's kernel, `factor` its optional
/// third binding.
inline void lower_sum(graph::LowerCall& call, const std::string& last_shader, graph::Value factor = {}) {
  struct Push {
    std::uint32_t vec4_count, slice4, first_sum, sums;
  };
  const graph::Shape x = call.in(0);
  graph::Value rest = call.input(0);
  std::uint32_t rest4 = static_cast<std::uint32_t>(x.padded() / 4);
  if (x.padded() > kSumSlice) {
    const std::vector<graph::RowBlock> blocks = call.row_blocks({call.input(0)});
    const auto slices = [&](const graph::RowBlock& block) {
      return (block.size() * x.ld() + kSumSlice - 1) / kSumSlice;
    };
    std::int64_t sums = 0, first = 0;
    for (const graph::RowBlock& block : blocks) sums += slices(block);
    for (const graph::RowBlock& block : blocks) {
      call.dispatch(graph::Launch{.shader = "sum_all",
                                  .bindings = {graph::Window(call.input(0), block.begin, block.end), call.scratch(0)},
                                  .groups = graph::LowerCall::grid(slices(block))},
                    Push{std::uint32_t(block.size() * x.ld() / 4), std::uint32_t(kSumSlice / 4), std::uint32_t(first),
                         std::uint32_t(sums)});
      first += slices(block);
    }
    rest = call.scratch(0);
    rest4 = static_cast<std::uint32_t>((sums + 3) / 4);
  }
  graph::Launch last{.shader = last_shader, .bindings = {rest, call.output()}};
  if (factor) last.bindings.emplace_back(factor);
  call.dispatch(last, Push{rest4, rest4, 0, 1});
}

}  // namespace fabula::ops
