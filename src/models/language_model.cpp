#include "models/language_model.hpp"

#include <algorithm>
#include <iterator>

#include "models/token_inputs.hpp"

namespace fabula::models {

LanguageModel::LanguageModel(ModelConfig config, const heads::HeadData& head_data, Precision precision,
                             const weights::Storage& weights)
    : LanguageModel(config, family_of(config.family), head_data, precision, weights) {}

LanguageModel::LanguageModel(ModelConfig config, const Family& family, const heads::HeadData& head_data,
                             Precision precision, const weights::Storage& weights)
    : config_(std::move(config)),
      precision_(precision),
      weights_(weights),
      body_(config_, family, weights),
      head_(heads::make_head(config_, head_data, body_.token_embedding())),
      parameters_(body_.parameters().specs()) {
  head_->store_as(weights);
  parameters_.insert(parameters_.end(), head_->parameters().specs().begin(), head_->parameters().specs().end());
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

std::vector<graph::ParameterSpec> LanguageModel::trained_parameters() const {
  std::vector<graph::ParameterSpec> trained;
  std::copy_if(parameters_.begin(), parameters_.end(), std::back_inserter(trained),
               [](const graph::ParameterSpec& spec) { return spec.trained; });
  return trained;
}

std::vector<heads::NamedWords> LanguageModel::constants() const {
  std::vector<heads::NamedWords> constants = body_.constants(), of_head = head_->constants();
  std::move(of_head.begin(), of_head.end(), std::back_inserter(constants));
  std::vector<heads::NamedWords> of_steps = step_constants(*head_);
  std::move(of_steps.begin(), of_steps.end(), std::back_inserter(constants));
  return constants;
}

void LanguageModel::change_map(TokenMap map) {
  head_ = heads::make_head(config_, {.map = std::move(map), .counts = {}}, body_.token_embedding());
  head_->store_as(weights_);
}

std::int64_t LanguageModel::parameter_count() const {
  return body_.parameters().count() + head_->parameters().count();
}

std::int64_t LanguageModel::body_parameter_count() const {
  std::int64_t count = 0;
  for (const graph::ParameterSpec& spec : body_.parameters().specs())
    if (spec.rows == graph::RowsOf::kFeatures) count += spec.shape.count();
  return count;
}

std::string describe(const LanguageModel& model) {
  const ModelConfig& c = model.config();
  return fmt::format(
      "{} {} layers, hidden {}, {} attention heads{}, {} tokens; vocabulary head: {}, logits a position: {}; "
      "{:.2f} M parameters, {:.2f} M in "
      "the body",
      model.body().family().name, c.layers, c.hidden, c.heads,
      c.key_value_heads() < c.heads ? fmt::format(" on {} of keys and values", c.key_value_heads()) : "", c.vocab_size,
      model.head().describe(), heads::logits_text(model.head()), 1e-6 * double(model.parameter_count()),
      1e-6 * double(model.body_parameter_count()));
}

}  // namespace fabula::models
