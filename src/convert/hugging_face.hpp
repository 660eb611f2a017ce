#pragma once
#include <filesystem>

#include "convert/convert.hpp"
#include "infer/model_folder.hpp"

namespace fabula::convert {

/// A Hugging Face folder of a family that fabula reads as one that fabula has written: names, orientation and config as
/// they are written today. `options.source` is the folder. Errors: as import_model.
ModelConfig import_hugging_face(const ImportOptions& options);

/// A folder that transformers loads, and fabula. Errors: as export_model.
void export_hugging_face(const infer::ModelFolder& model, const ExportOptions& options);

}  // namespace fabula::convert
