#pragma once
#include <cstdint>
#include <string_view>

#include "formats/compression.hpp"
#include "formats/model_config.hpp"
#include "formats/train_config.hpp"

namespace fabula {

/// T of training: train.sequence_length, else the model's positions.
inline std::int64_t sequence_length(const TrainConfig& train, const ModelConfig& model) {
  return train.sequence_length > 0 ? train.sequence_length : model.n_positions;
}

/// What one config file says: a model and how to train it.
struct RunConfig {
  ModelConfig model;
  TrainConfig train;
  Compression compression;  ///< of the weights beside the file; empty: they are in no fewer bits than floats have

  std::int64_t sequence_length() const { return fabula::sequence_length(train, model); }
  /// Tokens that an optimizer step sees.
  std::int64_t tokens_per_step() const { return train.batch_size * train.grad_accumulation * sequence_length(); }
};

/// The defaults of a family: what Hugging Face's configuration class of that name assumes, but no dropout of attention
/// weights, which training has not, and vocab_size 0.
RunConfig default_config(ModelFamily family);

/// Checks what concerns more than one key: divisibility, the size of an attention head, G*S against V, sequence length
/// against positions. `source` names the file in messages. Error kInvalidArgument. Called on reading; call it again
/// after setting vocab_size from a tokenizer.
void validate_config(const RunConfig& config, std::string_view source);

/// Checks head.remap against the steps of the run, where these are derived. Error kInvalidArgument.
void check_remap_steps(const RunConfig& config, std::int64_t steps, std::string_view source);

}  // namespace fabula
