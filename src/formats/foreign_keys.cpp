#include "formats/foreign_keys.hpp"

#include <algorithm>

#include "formats/config_keys.hpp"

namespace fabula {
namespace {

constexpr FixedKey kFixed[] = {
    {"scale_attn_weights", "true", "attention scores are always divided by sqrt(head size) in a GPT-2 model here"},
    {"scale_attn_by_inverse_layer_idx", "false", "attention scaled by the layer's number is not implemented"},
    {"add_cross_attention", "false", "cross attention is not implemented"},
    {"is_encoder_decoder", "false", "encoder-decoder models are not implemented"},
    {"is_causal", "true", "attention that looks ahead is not implemented"},
    {"pruned_heads", "{}", "pruned heads are not implemented"},
    {"quantization_config", "null",
     "quantised weights are read from folders that fabula compress wrote, no others"},
    {"compression_config", "null", "compressed weights are not implemented"},
    {"adapters", "{}", "adapters are not implemented; merge them into the weights"},
    {"peft_config", "null", "adapters are not implemented; merge them into the weights"},
    {"position_embedding_type", "\"absolute\"", "positions other than learnt ones are not implemented"},
    {"rope_scaling", "null", "scaled rotary positions are not implemented"},
    {"rope_parameters", "null", "only a Llama model has rotary positions; if the weights know none, remove it"},
    {"rope_interleaved", "false", "rotary positions of neighbouring numbers are not implemented"},
    {"partial_rotary_factor", "1.0", "rotary positions of a part of a head are not implemented"},
    {"rotary", "false", "only a Llama model has rotary positions; if the weights know none, remove it"},
    {"rotary_dim", "null",
     "rotary positions of a part of a head are not implemented; if the weights know none, remove it"},
    {"rotary_pct", "null",
     "rotary positions of a part of a head are not implemented; if the weights know none, remove it"},
    {"attention_bias", "false", "projections with biases are not implemented in a Llama model"},
    {"mlp_bias", "false", "projections with biases are not implemented in a Llama model"},
    {"alibi", "false", "attention biased by distance is not implemented"},
    {"sliding_window", "null", "sliding attention is implemented in a GPT-Neo model alone"},
    {"use_sliding_window", "false", "sliding attention is implemented in a GPT-Neo model alone"},
    {"multi_query", "false", "only a Llama model has keys and values that heads share"},
    {"parallel_attn", "false", "attention beside the feed-forward layer is not implemented"},
    {"use_parallel_residual", "false", "attention beside the feed-forward layer is not implemented"},
    {"jax", "false", "GPT-J's attention is not implemented"},
    {"bias", "true", "the layers of a GPT-2 model have biases here"},
    {"lm_head_bias", "false", "say it as head.bias"},
    {"qk_layernorm", "false", "norms of queries and keys are not implemented"},
    {"do_layer_norm_before", "true", "norms behind the layers are not implemented"},
    {"scale_embedding", "false", "scaled embeddings are not implemented"},
    {"logit_scale", "null", "scaled logits are not implemented"},
    {"attn_logit_softcapping", "null", "capped logits are not implemented"},
    {"final_logit_softcapping", "null", "capped logits are not implemented"},
    {"num_experts", "null", "mixtures of experts are not implemented"},
    {"num_local_experts", "null", "mixtures of experts are not implemented"},
};

constexpr std::string_view kUsual[] = {
    "architectures",
    "auto_map",
    "classifier_dropout",
    "dtype",
    "gradient_checkpointing",
    "name_or_path",
    "pad_token_id",
    "pretraining_tp",           // into how many parts a product is cut
    "reorder_and_upcast_attn",  // in which order and precision a product is computed
    "sep_token_id",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "use_cache",
};

constexpr std::string_view kOld[] = {
    // heads, labels and tasks
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "finetuning_task",
    "id2label",
    "is_composition",
    "is_decoder",  // GPT-2 and GPT-Neo look back in either case
    "label2id",
    "loss_type",
    "n_ctx",
    "n_special",
    "num_labels",
    "predict_special_tokens",
    "problem_type",
    "summary_last_dropout",
    "tie_encoder_decoder",
    // how results are handed over, and how they are computed
    "attn_implementation",
    "chunk_size_feed_forward",
    "device_map",
    "experts_implementation",
    "layerdrop",
    "model_parallel",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_scores",
    "return_dict",
    "return_dict_in_generate",
    "tf_legacy_loss",
    "torchscript",
    "use_bfloat16",
    "use_return_dict",
    "xla_device",
    // decoding
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_ids",
    "cache_implementation",
    "constraints",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "eos_token_ids",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "force_words_ids",
    "forced_bos_token_id",
    "forced_decoder_ids",
    "forced_eos_token_id",
    "guidance_scale",
    "length_penalty",
    "low_memory",
    "max_length",
    "max_new_tokens",
    "max_time",
    "min_length",
    "min_new_tokens",
    "min_p",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "pad_token_ids",
    "penalty_alpha",
    "prefix",
    "remove_invalid_values",
    "renormalize_logits",
    "repetition_penalty",
    "sequence_bias",
    "stop_strings",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
};

constexpr std::string_view kTool[] = {
    // sizes that n_positions and vocab_size decide
    "block_size",
    "context_length",
    "max_seq_len",
    "max_seq_length",
    "max_sequence_length",
    "model_max_length",
    "seq_len",
    "seq_length",
    "original_vocab_size",
    "pad_vocab_size_multiple",
    "pad_vocab_size_multiple_of",
    // names and descriptions
    "author",
    "base_model",
    "comment",
    "dataset",
    "description",
    "language",
    "license",
    "model_name",
    "name",
    "pipeline_tag",
    "tags",
    "version",
    // tokenizers
    "add_prefix_space",
    "additional_special_tokens",
    "bos_token",
    "cls_token_id",
    "do_lower_case",
    "eos_token",
    "mask_token_id",
    "pad_token",
    "padding_side",
    "tokenizer_name",
    "truncation_side",
    "unk_token",
    "unk_token_id",
    // how it was trained
    "batch_size",
    "beta1",
    "beta2",
    "bf16",
    "deepspeed",
    "dropout",
    "epochs",
    "fp16",
    "grad_clip",
    "gradient_accumulation_steps",
    "gradient_checkpointing_kwargs",
    "initializer_factor",
    "learning_rate",
    "lr_scheduler_type",
    "max_grad_norm",
    "max_steps",
    "num_train_epochs",
    "optimizer",
    "per_device_train_batch_size",
    "precision",
    "seed",
    "steps",
    "train_batch_size",
    "unsloth_fixed",
    "unsloth_version",
    "warmup_steps",
    "weight_decay",
    "is_llama_config",
    // how it is computed
    "attention_softmax_in_fp32",
    "base_model_pp_plan",
    "base_model_tp_plan",
    "compile",
    "flash_attention",
    "fused_mlp",
    "scale_attention_softmax_in_fp32",
    "tensor_parallel",
    "use_flash_attention",
    "use_flash_attn",
};

/// A name elsewhere and the key as one of the families spells it.
struct Alias {
  std::string_view name, key;
};
constexpr Alias kAliases[] = {
    {"num_attention_heads", "n_head"},
    {"num_key_value_heads", "n_head"},
    {"n_heads", "n_head"},
    {"num_hidden_layers", "n_layer"},
    {"n_layers", "n_layer"},
    {"d_model", "n_embd"},
    {"ffn_dim", "n_inner"},
    {"n_vocab", "vocab_size"},
    {"layer_norm_eps", "layer_norm_epsilon"},
    {"layernorm_epsilon", "layer_norm_epsilon"},
    {"hidden_act", "activation_function"},
    {"tie_embeddings", "tie_word_embeddings"},
    {"tie_weights", "tie_word_embeddings"},
};

bool holds(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::span<const FixedKey> fixed_keys() {
  return kFixed;
}

ForeignKind foreign_kind(std::string_view name) {
  if (name.starts_with('_') || holds(kUsual, name)) return ForeignKind::kUsual;
  if (holds(kOld, name)) return ForeignKind::kOld;
  return holds(kTool, name) ? ForeignKind::kTool : ForeignKind::kUnknown;
}

std::string_view alias_target(std::string_view name, ModelFamily family) {
  const auto alias =
      std::find_if(std::begin(kAliases), std::end(kAliases), [&](const Alias& a) { return a.name == name; });
  if (alias == std::end(kAliases)) return {};
  return model_key(family, alias->key);
}

}  // namespace fabula
