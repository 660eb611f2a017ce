#pragma once
#include <functional>
#include <string>
#include <vector>

#include "formats/gguf.hpp"
#include "formats/model_config.hpp"

namespace fabula::convert {

/// A tensor on its way into a GGUF file, in that file's layout.
struct GgufTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  GgufType type = GgufType::kF32;  ///< what is asked for
  std::function<std::vector<float>()> numbers;
};

/// A GPT-2 with an output bias as one without that computes the same: llama.cpp's gpt2 has no such bias. LayerNorm does
/// not see its input's mean, so what is added to the residual stream can have mean 0, and the stream one more head of
/// zeros: with the norms' weights times s = sqrt(D / (D + D/H)) and epsilon times s^2 it computes what it did. Of the
/// new columns of the final norm one is always 1, and the output matrix, no longer tied, has the bias there.
/// `model` is the one to be widened; the result's config has hidden D + D/H and one head more.
ModelConfig widened(ModelConfig model);
/// The same of its tensors, `output.bias` among them, which goes; `output.weight` is there in the end.
std::vector<GgufTensor> widened(std::vector<GgufTensor> tensors, const ModelConfig& model);

}  // namespace fabula::convert
