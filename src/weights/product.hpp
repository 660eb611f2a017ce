#pragma once
#include "weights/hidden.hpp"

namespace fabula::weights {

/// A matrix as products read it.
struct Operand {
  graph::Value values;
  graph::Value scales = {};   ///< of bytes
  bool outputs_first = true;  ///< it is [outputs, inputs]
};

/// What stands around a product: activation(h W^T + bias) + residual.
struct Around {
  graph::Value bias = {}, residual = {};
  bool gelu = false;  ///< of few rows alone
  bool fp32 = false;  ///< the result is stored in fp32, whatever h is
};

/// h W^T: of few rows one launch, which reads the matrix as it is stored; of many a product with floats of h's type.
graph::Value product(graph::Graph& graph, const Hidden& h, const Operand& matrix, const Around& around = {});

}  // namespace fabula::weights
