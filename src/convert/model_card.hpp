#pragma once
#include <string>

#include "convert/convert.hpp"
#include "infer/model_folder.hpp"

namespace fabula::convert {

/// README.md of an exported folder: a header in YAML for model hubs, what the model is, how it is used, and, of a run,
/// its data, loss and perplexity by step. `name`: of the export.
std::string model_card(const infer::ModelFolder& model, const std::string& name, Format format);

}  // namespace fabula::convert
