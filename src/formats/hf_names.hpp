#pragma once
#include <vector>

#include "formats/model_config.hpp"
#include "formats/parameter_finder.hpp"

namespace fabula {

/// Every parameter of the model, embeddings first, head last. A tied full head has no matrix of its own. Needs
/// vocab_size.
std::vector<TensorSpec> expected_tensors(const ModelConfig& model);

/// Can weights be read from tensors of this type?
bool holds_weights(TensorDtype dtype);

/// Is it a causal mask that older versions of transformers saved as a buffer? `name` is without wrappers.
bool is_mask_buffer(std::string_view name);

/// Is there an lm_head.weight with the very numbers of the token embedding, as a tied model's file may have it?
bool repeats_embedding(const ParameterFinder& finder);

/// Finds every expected tensor among those of a folder. Passed over: attention mask buffers, and an lm_head.weight that
/// repeats the tied embedding. One Error (kFormat) lists what is missing, unexpected, of another shape, or of a type
/// that holds no weights.
ParameterFinder match_tensors(const ModelTensors& tensors, const ModelConfig& model);

}  // namespace fabula
