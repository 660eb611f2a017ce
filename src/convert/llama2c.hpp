#pragma once
#include <filesystem>
#include <vector>

#include "convert/convert.hpp"
#include "infer/model_folder.hpp"

namespace fabula::convert {

/// A llama2.c checkpoint as a Llama folder. The rows of queries and keys change places, so that both halves of a head
/// are turned against each other rather than neighbours. `options.tokenizer`: llama2.c's tokenizer.bin, or what
/// load_tokenizer reads; empty: the tokenizer.bin beside the checkpoint. Errors: as import_model; those of Llama2cFile
/// and load_tokenizer; kInvalidArgument for a tokenizer of another size.
ModelConfig import_llama2c(const ImportOptions& options);

/// The exact inverse: model.bin (version 0, fp32) and tokenizer.bin in a folder. Returns both. Errors: as export_model.
std::vector<std::filesystem::path> export_llama2c(const infer::ModelFolder& model, const ExportOptions& options);

}  // namespace fabula::convert
