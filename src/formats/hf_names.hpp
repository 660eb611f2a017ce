#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "formats/model_config.hpp"
#include "formats/safetensors.hpp"

namespace fabula {

/// A parameter as it stands in model.safetensors. Names and orientation are Hugging Face's: GPT-2's linear weights are
/// Conv1D, [in, out], with q, k, v fused in c_attn [D, 3D]; GPT-Neo's are [out, in].
struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
};

/// Every parameter of the model, embeddings first, head last. A tied full head has no matrix of its own. Needs
/// vocab_size.
std::vector<TensorSpec> expected_tensors(const ModelConfig& model);

/// Finds every expected tensor in a file: parameter name -> name in the file (the prefix "transformer." may be missing
/// there). Passed over: attention mask buffers, and an lm_head.weight that repeats the tied embedding. One Error
/// (kFormat) lists what is missing, unexpected, of another shape, or of a type that holds no weights.
std::map<std::string, std::string> match_tensors(const SafetensorsFile& file, const ModelConfig& model);

}  // namespace fabula
