#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_family.hpp"
#include "formats/token_map.hpp"

namespace fabula {

enum class AttentionKind { kGlobal, kLocal };
enum class HeadKind { kFull, kFused, kGrouped, kAdaptive };
enum class HeadModulation { kScaleShift, kLowRank, kPerGroup };
enum class GroupMap { kIdRanges, kFrequency, kClustered, kRandom, kFile };
enum class GroupSizes { kEqual, kMass };
enum class BiasInit { kUnigram, kZeros };
/// The vocabulary head. Sizes that are 0 here are derived: ask ModelConfig::slots(), groups() and cutoffs().
struct HeadConfig {
  HeadKind kind = HeadKind::kFull;
  bool bias = false;                        ///< an output bias; a grouped head always has its own
  BiasInit bias_init = BiasInit::kUnigram;  ///< what output biases start at
  HeadModulation modulation = HeadModulation::kScaleShift;
  std::int64_t rank = 32;       ///< r of HeadModulation::kLowRank
  std::int64_t shortlist = 0;   ///< K, the most frequent tokens, which are classes of the first level themselves
  std::int64_t prototypes = 1;  ///< c, vectors a group; its score is the log-sum-exp over them
  bool class_input = false;     ///< a group's (or cluster's) vector is added to its tokens' input embeddings
  GroupMap map = GroupMap::kIdRanges;
  std::string map_file = {};  ///< of GroupMap::kFile
  GroupSizes group_sizes = GroupSizes::kEqual;
  std::int64_t group_size = 0;             ///< S, the most tokens of a group; 0: ceil(sqrt(V - K)), or as mass_bands
  std::int64_t groups = 0;                 ///< G; 0: ceil((V - K) / S); of kMass ceil(sqrt(V - K) / 2)
  std::vector<std::int64_t> cutoffs = {};  ///< adaptive: ranks at which clusters begin; empty: V / 25 and V / 5
  std::vector<std::int64_t> remap = {};    ///< steps of a run after which it makes its map again
  double div_value = 4;                    ///< adaptive: cluster i is projected to D / div_value^(i + 1) numbers

  /// Does the head look a token up in two steps, by a TokenMap?
  bool has_map() const { return kind == HeadKind::kGrouped || kind == HeadKind::kAdaptive; }
  /// Has it output biases whatever `bias` says?
  bool always_biased() const { return kind == HeadKind::kGrouped; }
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
  std::int64_t heads = 12;           ///< H
  std::int64_t inner = 0;            ///< F; 0: 4 D
  std::int64_t kv_heads = 0;         ///< heads of keys and values, each for H / kv_heads of queries; 0: H
  std::int64_t head_size = 0;        ///< of an attention head; 0: D / H
  double rope_theta = 10000;         ///< pair i of a head turns by position / rope_theta^(2 i / its size)
  double layer_norm_epsilon = 1e-5;  ///< of whatever norms there are
  double initializer_range = 0.02;   ///< standard deviation of fresh weights
  double embd_dropout = 0.1;
  double attn_dropout = 0;
  bool attn_dropout_left_out = false;  ///< the 0 was not said: a GPT-2 elsewhere would be trained with 0.1
  double resid_dropout = 0.1;
  bool tie_word_embeddings = true;              ///< the full head's matrix is the token embedding
  std::vector<AttentionKind> attention_layers;  ///< GPT-Neo: one a layer; empty: all global
  std::int64_t window_size = 256;               ///< GPT-Neo: positions that a local layer sees, its own included
  std::int64_t bos_token_id = -1;               ///< -1: none
  std::vector<std::int64_t> eos_token_ids;      ///< generation stops at any of them; the first ends documents
  HeadConfig head;

  std::int64_t head_dim() const { return head_size > 0 ? head_size : hidden / heads; }
  std::int64_t key_value_heads() const { return kv_heads > 0 ? kv_heads : heads; }
  std::int64_t feed_forward() const { return inner > 0 ? inner : 4 * hidden; }
  AttentionKind attention(std::int64_t layer) const;
  /// Of the grouped head, derived where the config leaves them 0. They need vocab_size.
  std::int64_t slots() const;           ///< S
  std::int64_t groups() const;          ///< G
  std::vector<SizeBand> bands() const;  ///< of GroupSizes::kMass
  /// Of the adaptive head: rising ranks, at least one, all below V.
  std::vector<std::int64_t> cutoffs() const;
  struct Cluster {
    std::int64_t tokens, projection;  ///< its size; the numbers that D is projected to
  };
  std::vector<Cluster> clusters() const;  ///< behind the first cutoff
  /// With the vocabulary head's derived sizes, and the body's where its family states them, in the place of what says
  /// that they are derived: for readers that do not know how.
  ModelConfig with_sizes() const;
};

/// S of `tokens` tokens in groups where nothing else is said: ceil(sqrt(tokens)).
std::int64_t default_group_size(std::int64_t tokens);
/// G of as many in groups of about equal mass: ceil(sqrt(tokens) / 2).
std::int64_t default_mass_groups(std::int64_t tokens);

std::string_view head_kind_name(HeadKind kind);               ///< "full", "fused", "grouped", "adaptive"
std::string_view modulation_name(HeadModulation modulation);  ///< "scale_shift", ...
std::string_view group_map_name(GroupMap map);                ///< "id_ranges", ...
std::string_view group_sizes_name(GroupSizes sizes);          ///< "equal", "mass"
}  // namespace fabula
