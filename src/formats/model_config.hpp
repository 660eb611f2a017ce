#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace fabula {

enum class ModelFamily { kGpt2, kGptNeo };
enum class AttentionKind { kGlobal, kLocal };
enum class HeadKind { kFull, kFused, kGrouped, kAdaptive };
enum class HeadModulation { kScaleShift, kLowRank, kPerGroup };
enum class GroupMap { kIdRanges, kFrequency, kClustered, kRandom, kFile };
enum class BiasInit { kUnigram, kZeros };
/// What the backward pass computes again rather than keeps.
enum class Recompute { kAuto, kNone, kBlock };
/// What activations, and the copies of weights that products read, are stored in. Master weights, their gradients, the
/// optimizer's state, logits, losses and all sums are fp32.
enum class Precision { kFp32, kBf16, kFp16 };

/// The vocabulary head. Sizes that are 0 here are derived: ask ModelConfig::slots(), groups() and cutoffs().
struct HeadConfig {
  HeadKind kind = HeadKind::kFull;
  bool bias = false;                        ///< an output bias; a grouped head always has its own
  BiasInit bias_init = BiasInit::kUnigram;  ///< what output biases start at
  HeadModulation modulation = HeadModulation::kScaleShift;
  std::int64_t rank = 32;       ///< r of HeadModulation::kLowRank
  std::int64_t shortlist = 0;   ///< K, the most frequent tokens, which are classes of the first level themselves
  std::int64_t prototypes = 1;  ///< c, vectors a group; its score is the log-sum-exp over them
  GroupMap map = GroupMap::kIdRanges;
  std::string map_file = {};               ///< of GroupMap::kFile
  std::int64_t group_size = 0;             ///< S, the most tokens of a group; 0: ceil(sqrt(V - K))
  std::int64_t groups = 0;                 ///< G; 0: ceil((V - K) / S)
  std::vector<std::int64_t> cutoffs = {};  ///< adaptive: ranks at which clusters begin; empty: V / 25 and V / 5
  double div_value = 4;                    ///< adaptive: cluster i is projected to D / div_value^(i + 1) numbers

  /// Does the head look a token up in two steps, by a TokenMap?
  bool has_map() const { return kind == HeadKind::kGrouped || kind == HeadKind::kAdaptive; }
};

/// Most tokens of a vocabulary: a kernel's invocation passes twice over its part of a row of logits, a vec4 in 128, in
/// fewer than 60,000 loop iterations.
inline constexpr std::int64_t kMaxVocabulary = 15'000'000;

/// Most numbers of an attention head: what a kernel keeps of a query.
inline constexpr std::int64_t kMaxHeadSize = 128;

/// The shape of a model, whatever names its file gives to it.
struct ModelConfig {
  ModelFamily family = ModelFamily::kGpt2;
  std::int64_t vocab_size = 0;  ///< V; 0: not known yet, the tokenizer says
  std::int64_t n_positions = 1024;
  std::int64_t hidden = 768;  ///< D
  std::int64_t layers = 12;
  std::int64_t heads = 12;  ///< H
  std::int64_t inner = 0;   ///< F; 0: 4 D
  double layer_norm_epsilon = 1e-5;
  double initializer_range = 0.02;  ///< standard deviation of fresh weights
  double embd_dropout = 0.1;
  double attn_dropout = 0;
  bool attn_dropout_left_out = false;  ///< the 0 was not said: a GPT-2 elsewhere would be trained with 0.1
  double resid_dropout = 0.1;
  bool tie_word_embeddings = true;              ///< the full head's matrix is the token embedding
  std::vector<AttentionKind> attention_layers;  ///< GPT-Neo: one a layer; GPT-2: empty, all global
  std::int64_t window_size = 256;               ///< GPT-Neo: positions that a local layer sees, its own included
  std::int64_t bos_token_id = -1;               ///< -1: none
  std::vector<std::int64_t> eos_token_ids;      ///< generation stops at any of them; the first ends documents
  HeadConfig head;

  std::int64_t head_dim() const { return hidden / heads; }
  std::int64_t feed_forward() const { return inner > 0 ? inner : 4 * hidden; }
  AttentionKind attention(std::int64_t layer) const;
  /// Of the grouped head, derived where the config leaves them 0. They need vocab_size.
  std::int64_t slots() const;   ///< S
  std::int64_t groups() const;  ///< G
  /// Of the adaptive head: rising ranks, at least one, all below V.
  std::vector<std::int64_t> cutoffs() const;
  struct Cluster {
    std::int64_t tokens, projection;  ///< its size; the numbers that D is projected to
  };
  std::vector<Cluster> clusters() const;  ///< behind the first cutoff
};

/// How to train it. Units: steps are optimizer steps; one step sees batch_size * grad_accumulation * sequence_length
/// tokens.
struct TrainConfig {
  std::int64_t batch_size = 16;
  std::int64_t sequence_length = 0;  ///< 0: the model's n_positions
  std::int64_t grad_accumulation = 1;
  Precision precision = Precision::kFp32;
  Recompute recompute = Recompute::kAuto;  ///< changes no number
  std::int64_t steps = 0;                  ///< 0: tokens says how long
  std::int64_t tokens = 0;                 ///< 0: epochs says
  double epochs = 1;
  double learning_rate = 1e-3;
  double min_lr_ratio = 0.1;
  std::int64_t warmup_steps = 100;
  double weight_decay = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double clip_norm = 1;  ///< 0: no clipping
  double dropout = -1;   ///< -1: as the model says; else it has replaced the model's on reading
  std::int64_t seed = 1;
  std::int64_t eval_every = 100;  ///< 0: never, here and below
  std::int64_t eval_batches = 8;
  std::int64_t sample_every = 200;
  std::int64_t sample_tokens = 120;
  double sample_temperature = 0.8;
  std::string sample_prompt = "Once upon a time";
  std::int64_t save_every = 200;
  std::int64_t log_every = 10;
};

struct RunConfig {
  ModelConfig model;
  TrainConfig train;
};

/// The defaults of a family: what Hugging Face's configuration class of that name assumes, but no dropout of attention
/// weights, which training has not, and vocab_size 0.
RunConfig default_config(ModelFamily family);

/// S of `tokens` tokens in groups where nothing else is said: ceil(sqrt(tokens)).
std::int64_t default_group_size(std::int64_t tokens);

std::string_view family_name(ModelFamily family);             ///< "gpt2", "gpt_neo"
std::string_view head_kind_name(HeadKind kind);               ///< "full", "fused", "grouped", "adaptive"
std::string_view modulation_name(HeadModulation modulation);  ///< "scale_shift", ...
std::string_view group_map_name(GroupMap map);                ///< "id_ranges", ...
std::string_view recompute_name(Recompute recompute);         ///< "auto", "none", "block"
std::string_view precision_name(Precision precision);         ///< "fp32", "bf16", "fp16"
/// A head in a few words, its sizes included: "grouped per_group, shortlist 512, 224 groups of 223, clustered, tied".
std::string describe_head(const ModelConfig& model);

/// Checks what concerns more than one key: divisibility, the size of an attention head, G*S against V, sequence length
/// against positions. `source` names the file in messages. Error kInvalidArgument. Called on reading; call it again
/// after setting vocab_size from a tokenizer.
void validate_config(const RunConfig& config, std::string_view source);

}  // namespace fabula
