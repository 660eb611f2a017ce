#include "models/language_model.hpp"

namespace fabula::models {

LanguageModel::LanguageModel(ModelConfig config, const heads::HeadData& head_data, Precision precision)
    : config_(std::move(config)),
      precision_(precision),
      head_(heads::make_head(config_, head_data, kTokenEmbedding)),
      parameters_(body_parameters(config_)) {
  for (graph::ParameterSpec& spec : head_->parameters()) parameters_.push_back(std::move(spec));
}

graph::DType LanguageModel::dtype() const {
  switch (precision_) {
    case Precision::kFp16:
      return graph::DType::kF16;
    case Precision::kBf16:
      return graph::DType::kBF16;
    case Precision::kFp32:
      break;
  }
  return graph::DType::kF32;
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

std::string describe(const LanguageModel& model) {
  const ModelConfig& c = model.config();
  return fmt::format(
      "{} {} layers, hidden {}, {} attention heads, {} tokens; vocabulary head: {}; {:.2f} M parameters, {:.2f} M in "
      "the body",
      family_name(c.family), c.layers, c.hidden, c.heads, c.vocab_size, describe_head(c),
      1e-6 * double(model.parameter_count()), 1e-6 * double(model.body_parameter_count()));
}

}  // namespace fabula::models
