#include "models/language_model.hpp"

namespace fabula::models {

LanguageModel::LanguageModel(ModelConfig config, const heads::HeadData& head_data)
    : config_(std::move(config)),
      head_(heads::make_head(config_, head_data, kTokenEmbedding)),
      parameters_(body_parameters(config_)) {
  for (graph::ParameterSpec& spec : head_->parameters()) parameters_.push_back(std::move(spec));
}

std::int64_t LanguageModel::parameter_count() const {
  std::int64_t count = 0;
  for (const graph::ParameterSpec& spec : parameters_) count += spec.shape.count();
  return count;
}

std::int64_t LanguageModel::body_parameter_count() const {
  std::int64_t count = 0;
  for (const graph::ParameterSpec& spec : body_parameters(config_))
    if (!spec.name.starts_with("transformer.wte.") && !spec.name.starts_with("transformer.wpe."))
      count += spec.shape.count();
  return count;
}

}  // namespace fabula::models
