#pragma once
#include <memory>
#include <string>
#include <vector>

#include "graph/types.hpp"

namespace fabula::graph {

/// How a parameter starts.
enum class Init : std::uint8_t {
  kNormal,  ///< N(0, init_std^2)
  kOnes,
  kZeros,
  kValues,  ///< as ParameterSpec::values says
};

/// A trained tensor as a model or a head declares it: what the store allocates, the optimizer treats and files hold.
struct ParameterSpec {
  std::string name;  ///< the tensor's name in model.safetensors
  Shape shape;
  Init init = Init::kNormal;
  double init_std = 0.02;  ///< of Init::kNormal
  bool decay = true;       ///< takes weight decay (matrices do; biases, norms, the head's scale and shift do not)
  std::shared_ptr<const std::vector<float>> values = {};  ///< of Init::kValues: shape.count() numbers, row by row
};

}  // namespace fabula::graph
