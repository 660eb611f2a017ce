#pragma once
#include <memory>
#include <string>
#include <vector>

#include "formats/train_config.hpp"
#include "heads/head.hpp"
#include "models/body.hpp"

namespace fabula::models {

/// A body and its head: the whole of what a config describes. Holds no weights and no device.
class LanguageModel {
 public:
  /// The config needs its vocab_size; `head_data` is what training starts from or, of a trained model, its token map.
  /// Weights in fewer bits than fp32 are for graphs without gradients. Throws kInvalidArgument naming the field that
  /// does not fit.
  explicit LanguageModel(ModelConfig config, const heads::HeadData& head_data = {},
                         Precision precision = Precision::kFp32, const weights::Storage& weights = {});
  /// The same with a body of this family, whatever the config says.
  LanguageModel(ModelConfig config, const Family& family, const heads::HeadData& head_data = {},
                Precision precision = Precision::kFp32, const weights::Storage& weights = {});

  const ModelConfig& config() const { return config_; }
  const Body& body() const { return body_; }
  const heads::Head& head() const { return *head_; }
  Precision precision() const { return precision_; }
  graph::DType dtype() const;  ///< what its loss graphs store activations in
  /// All tensors, the body's first.
  const std::vector<graph::ParameterSpec>& parameters() const { return parameters_; }
  /// Those of them that training changes.
  std::vector<graph::ParameterSpec> trained_parameters() const;
  /// What its graphs read that never changes, the body's first.
  std::vector<heads::NamedWords> constants() const;
  /// Gives its head another map of the same sizes. Parameters and graphs stay as they are; constants and what a batch's
  /// graphs read are then others.
  void change_map(TokenMap map);
  std::int64_t parameter_count() const;       ///< numbers, embeddings and head included
  std::int64_t body_parameter_count() const;  ///< without the two embeddings and the head

 private:
  ModelConfig config_;
  Precision precision_;
  weights::Storage weights_;
  Body body_;
  std::unique_ptr<heads::Head> head_;
  std::vector<graph::ParameterSpec> parameters_;
};

/// A model in one line: family, sizes, head, parameters.
std::string describe(const LanguageModel& model);

}  // namespace fabula::models
