#pragma once
#include <string>
#include <string_view>

#include "convert/convert.hpp"
#include "infer/model_folder.hpp"

namespace fabula::convert {

inline constexpr const char* kModelCardFile = "README.md";

/// README.md of an exported folder: a header in YAML for model hubs, what the model is, how it is used, and, of a run,
/// its data, loss and perplexity by step. `name`: of the export.
std::string model_card(const infer::ModelFolder& model, const std::string& name, Format format);
/// Does a file that begins so begin as those cards do before anyone has put a licence in?
bool is_model_card(std::string_view bytes);

}  // namespace fabula::convert
