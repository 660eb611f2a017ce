#include "formats/model_config.hpp"

#include <cmath>

#include "base/fail.hpp"
#include "formats/config_keys.hpp"

namespace fabula {
namespace {

// Smallest S with S * S >= V, in integers: a rounded square root may be one off.
std::int64_t ceil_sqrt(std::int64_t value) {
  auto root = static_cast<std::int64_t>(std::sqrt(static_cast<double>(value)));
  while (root * root < value) ++root;
  while (root > 1 && (root - 1) * (root - 1) >= value) --root;
  return root;
}

std::int64_t ceil_divide(std::int64_t value, std::int64_t by) {
  return (value + by - 1) / by;
}

// Messages speak of keys as the family's file spells them.
struct Validator {
  const RunConfig& config;
  std::string_view source;

  const ModelConfig& model() const { return config.model; }
  std::string_view key(std::string_view gpt2, std::string_view gpt_neo) const {
    return model().family == ModelFamily::kGpt2 ? gpt2 : gpt_neo;
  }

  void check_body() const {
    if (model().hidden % model().heads != 0) {
      fail(ErrorCode::kInvalidArgument,
           "{}: {} is {}, which {} heads do not divide; choose a multiple of {} or another {}", source,
           key("n_embd", "hidden_size"), model().hidden, model().heads, model().heads, key("n_head", "num_heads"));
    }
    if (model().family == ModelFamily::kGptNeo &&
        static_cast<std::int64_t>(model().attention_layers.size()) != model().layers) {
      fail(ErrorCode::kInvalidArgument, "{}: attention_types describes {} layers, num_layers is {}", source,
           model().attention_layers.size(), model().layers);
    }
    for (const auto& [name, id] :
         {std::pair("bos_token_id", model().bos_token_id), {"eos_token_id", model().eos_token_id}}) {
      if (model().vocab_size > 0 && id >= model().vocab_size) {
        fail(ErrorCode::kInvalidArgument, "{}: {} is {}, vocab_size is {}; ids end at {}", source, name, id,
             model().vocab_size, model().vocab_size - 1);
      }
    }
  }

  void check_head() const {
    const HeadConfig& head = model().head;
    if (head.kind == HeadKind::kFull) return;
    if (model().tie_word_embeddings) {
      fail(ErrorCode::kInvalidArgument,
           "{}: tie_word_embeddings is true, a grouped head has matrices of its own; set it to false or "
           "leave it out",
           source);
    }
    if (!head.bias) {
      fail(ErrorCode::kInvalidArgument, "{}: head.bias is false, a grouped head always has biases; leave the key out",
           source);
    }
    if (model().vocab_size > 0) check_groups(head);
  }

  void check_groups(const HeadConfig& head) const {
    const std::int64_t vocabulary = model().vocab_size;
    if (head.group_size > vocabulary) {
      fail(ErrorCode::kInvalidArgument,
           "{}: head.group_size is {}, the vocabulary has {} tokens; choose 1 to {}, or 0 for {}", source,
           head.group_size, vocabulary, vocabulary, ceil_sqrt(vocabulary));
    }
    const std::int64_t needed = ceil_divide(vocabulary, model().slots());
    if (head.groups == 0 || head.groups == needed) return;
    // needed * slots < 2^49: no overflow, and head.groups is at most 2^24.
    fail(ErrorCode::kInvalidArgument,
         "{}: head.groups {} x head.group_size {} = {} {} {} tokens of the vocabulary; "
         "head.groups must be {} (or 0)",
         source, head.groups, model().slots(), head.groups * model().slots(),
         head.groups < needed ? "is fewer than the" : "leaves groups empty with the", vocabulary, needed);
  }

  void check_training() const {
    const TrainConfig& train = config.train;
    if (train.sequence_length > model().n_positions) {
      fail(ErrorCode::kInvalidArgument, "{}: train.sequence_length is {}, the model has {} {}", source,
           train.sequence_length, key("n_positions", "max_position_embeddings"), model().n_positions);
    }
    if (train.steps == 0 && train.tokens == 0 && train.epochs <= 0) {
      fail(ErrorCode::kInvalidArgument, "{}: train.steps, train.tokens and train.epochs are all 0; set one of them",
           source);
    }
  }
};

}  // namespace

AttentionKind ModelConfig::attention(std::int64_t layer) const {
  return attention_layers.empty() ? AttentionKind::kGlobal : attention_layers.at(static_cast<std::size_t>(layer));
}

std::int64_t ModelConfig::slots() const {
  ensure(vocab_size > 0, "the vocabulary's size is not known yet");
  return head.group_size > 0 ? head.group_size : ceil_sqrt(vocab_size);
}

std::int64_t ModelConfig::groups() const {
  return ceil_divide(vocab_size, slots());
}

RunConfig default_config(ModelFamily family) {
  RunConfig config;
  config.model.family = family;
  if (family == ModelFamily::kGptNeo) {
    config.model.n_positions = 2048;
    config.model.hidden = 2048;
    config.model.layers = 24;
    config.model.heads = 16;
    config.model.embd_dropout = config.model.attn_dropout = config.model.resid_dropout = 0;
  }
  return config;
}

void validate_config(const RunConfig& config, std::string_view source) {
  const Validator validator{config, source};
  validator.check_body();
  validator.check_head();
  validator.check_training();
}

}  // namespace fabula
