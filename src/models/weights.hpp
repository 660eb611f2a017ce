#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "formats/model_tensors.hpp"
#include "graph/runtime.hpp"
#include "models/language_model.hpp"

namespace fabula::models {

/// Gives a runtime those of the model's constants that its graphs declare. Whatever sets a model's weights does so.
void upload_constants(graph::Runtime& runtime, const LanguageModel& model);

/// Fills the parameters on the device with fresh values: each tensor draws from a stream of its own, so that one
/// tensor's values do not depend on the others' shapes. Uploads the constants.
void initialise_weights(graph::Runtime& runtime, const LanguageModel& model, std::uint64_t seed);

/// Reads a folder's weights (F32, F16 or BF16) into the parameters on the device. Everything is checked before anything
/// is written: see match_tensors. Uploads the constants.
void load_weights(graph::Runtime& runtime, const LanguageModel& model, const ModelTensors& tensors);

/// Tensors of the store to be written to a file, fetched from the device one at a time: `names` in the store, prefix +
/// name in the file.
std::vector<TensorSource> tensors_to_save(graph::Runtime& runtime, const LanguageModel& model,
                                          const std::string& prefix = {});

}  // namespace fabula::models
