#pragma once
#include <vector>

#include "graph/op.hpp"

namespace fabula::ops {

/// Inputs [begin, begin + count) of a node.
inline std::vector<graph::Value> input_list(const graph::LowerCall& call, std::size_t begin, std::size_t count) {
  std::vector<graph::Value> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(call.input(begin + i));
  return values;
}

}  // namespace fabula::ops
