#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "formats/match_tensors.hpp"
#include "formats/model_tensors.hpp"
#include "graph/runtime.hpp"
#include "models/language_model.hpp"

namespace fabula::models {

/// What files of the model hold, in file order.
ExpectedTensors expected_tensors(const LanguageModel& model);

/// Gives a runtime those of the model's constants that its graphs declare. Whatever sets a model's weights does so.
void upload_constants(graph::Runtime& runtime, const LanguageModel& model);

/// Fills the parameters on the device with fresh values: each tensor draws from a stream of its own, keyed by its name,
/// so that its values depend neither on the others' shapes nor on which others there are.
/// Uploads the constants.
void initialise_weights(graph::Runtime& runtime, const LanguageModel& model, std::uint64_t seed);

/// Reads a folder's weights (F32, F16 or BF16) into the parameters on the device. Everything is checked before anything
/// is written: see match_tensors. Uploads the constants.
void load_weights(graph::Runtime& runtime, const LanguageModel& model, const ModelTensors& tensors);

/// Tensors of the store to be written to a file, fetched from the device one at a time: `prefix` + a parameter's name
/// in the store and in the file.
std::vector<TensorSource> tensors_to_save(graph::Runtime& runtime, std::span<const graph::ParameterSpec> parameters,
                                          const std::string& prefix = {});

/// The model's parameters as a folder's files have them, each in its own type there or all in `dtype`, in the model's
/// orientation; `tensors` must outlive them. Everything is checked first: see match_tensors.
std::vector<TensorSource> tensors_to_copy(const LanguageModel& model, const ModelTensors& tensors,
                                          std::optional<TensorDtype> dtype = {});

}  // namespace fabula::models
