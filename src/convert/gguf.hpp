#pragma once
#include <filesystem>

#include "convert/convert.hpp"
#include "infer/model_folder.hpp"

namespace fabula::convert {

/// A GGUF file (architectures gpt2, llama and qwen2) as a model folder, by infer::write_model_folder into an
/// OutputFolder; `options.source` is the file. Returns the model's config. Errors: as import_model.
ModelConfig import_gguf(const ImportOptions& options);

/// A model with a full or fused head as a GGUF file, which is replaced as one step; vectors and the table of positions
/// stay in fp32. What is written otherwise than asked for, and what llama.cpp will do otherwise than fabula, is said.
/// Errors: kUnsupported with the reason and the nearest that works; kNumeric, naming the tensor, for a number beyond
/// the type; kIo.
void export_gguf(const infer::ModelFolder& model, const std::filesystem::path& out, std::optional<WeightType> type);

}  // namespace fabula::convert
