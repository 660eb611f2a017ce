#pragma once
#include <string_view>
#include <vector>

#include "formats/model_config.hpp"
#include "formats/parameter_finder.hpp"

namespace fabula {

/// What a model's files hold.
struct ExpectedTensors {
  std::vector<TensorSpec> tensors;
  /// Ends of the names of what they may hold besides and is no parameter: causal masks that older versions of
  /// transformers saved.
  std::vector<std::string_view> buffers = {};

  /// `plain` is a tensor's name without wrappers.
  bool is_buffer(std::string_view plain) const;
};

/// Can weights be read from tensors of this type?
bool holds_weights(TensorDtype dtype);

/// Finds every expected tensor among those of a folder. Passed over: buffers, and repeated tensors that hold the same
/// numbers. One Error (kFormat) lists what is missing, unexpected, of another shape, or of a type that holds no
/// weights; `config` is where a wrong shape may come from.
ParameterFinder match_tensors(const ModelTensors& tensors, const ExpectedTensors& expected, const ModelConfig& config);

}  // namespace fabula
