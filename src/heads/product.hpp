#pragma once
#include "weights/matrix.hpp"

namespace fabula::heads {
using weights::Hidden;

/// h W^T, [N, R], of h [N, D] and a parameter W [R, D], stored in h's own type.
inline graph::Value product(graph::Graph& graph, const Hidden& h, const graph::ParameterSpec& matrix) {
  return weights::matrix_of(matrix)->product(graph, h);
}

/// Scores h W^T (+ bias) of the same: always in fp32, as everything in a head behind its last product is.
inline graph::Value scores(graph::Graph& graph, const Hidden& h, const graph::ParameterSpec& matrix,
                           graph::Value bias = {}) {
  return weights::matrix_of(matrix)->product(graph, h, {.bias = bias, .fp32 = true});
}

}  // namespace fabula::heads
