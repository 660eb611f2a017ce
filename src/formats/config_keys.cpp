#include "formats/config_keys.hpp"

#include <algorithm>
#include <array>

#include "base/fail.hpp"

namespace fabula {
namespace {

constexpr std::int64_t kZero = 0;
constexpr std::int64_t kNone = -1;
constexpr double kAsModel = -1;
constexpr std::int64_t kHuge = std::int64_t{1} << 53;  // every integer up to here survives readers that store doubles
constexpr double kInfinity = std::numeric_limits<double>::infinity();

constexpr std::array<std::string_view, 4> kHeadKinds = {"full", "fused", "grouped", "adaptive"};
constexpr std::array<std::string_view, 3> kModulations = {"scale_shift", "low_rank", "per_group"};
constexpr std::array<std::string_view, 5> kMaps = {"id_ranges", "frequency", "clustered", "random", "file"};
constexpr std::array<std::string_view, 2> kGroupSizes = {"equal", "mass"};
constexpr std::array<std::string_view, 2> kBiasInits = {"unigram", "zeros"};
constexpr std::array<std::string_view, 3> kRecomputes = {"auto", "none", "block"};
constexpr std::array<std::string_view, 3> kPrecisions = {"fp32", "bf16", "fp16"};
constexpr std::array<std::string_view, 2> kActivations = {"gelu_new", "gelu_pytorch_tanh"};
constexpr std::array<std::string_view, 2> kGatedActivations = {"silu", "swish"};

/// What names model_type may have.
const std::array kFamilyNames = [] {
  KeyNames names;
  for (const ModelFamily family : kModelFamilies) names[static_cast<std::size_t>(family)] = family_name(family);
  return names;
}();

constexpr KeyNames same(std::string_view name) {
  KeyNames names;
  names.fill(name);
  return names;
}

constexpr auto kOfGrouped = [](const HeadConfig& head) { return head.kind == HeadKind::kGrouped; };
constexpr auto kOfAdaptive = [](const HeadConfig& head) { return head.kind == HeadKind::kAdaptive; };

#define FABULA_AT(type, member) (+[](RunConfig& c) -> type& { return c.member; })
#define FABULA_CHOICE(type, member, names)                                           \
  ChoiceField {                                                                      \
    +[](const RunConfig& c) { return static_cast<int>(c.member); },                  \
        +[](RunConfig& c, int index) { c.member = static_cast<type>(index); }, names \
  }

using Int = std::int64_t;

const ConfigKey kKeys[] = {
    {"", same("model_type"), FABULA_CHOICE(ModelFamily, model.family, kFamilyNames),
     "The body's family. Written with `fabula_` before it for a model that Hugging Face's class of that name cannot "
     "hold; both are read."},
    {"", same("vocab_size"), IntegerField{FABULA_AT(Int, model.vocab_size), 1, kMaxVocabulary, &kZero},
     "V, tokens in the vocabulary; null: as many as the tokenizer has."},
    {"",
     {"n_positions", "max_position_embeddings", "max_position_embeddings"},
     IntegerField{FABULA_AT(Int, model.n_positions), 1, 1 << 20},
     "The longest context, in tokens."},
    {"",
     {"n_embd", "hidden_size", "hidden_size"},
     IntegerField{FABULA_AT(Int, model.hidden), 1, 1 << 16},
     "D, width of the model."},
    {"",
     {"n_layer", "num_layers", "num_hidden_layers"},
     IntegerField{FABULA_AT(Int, model.layers), 1, kMaxLayers},
     "Transformer blocks."},
    {"",
     {"n_head", "num_heads", "num_attention_heads"},
     IntegerField{FABULA_AT(Int, model.heads), 1, 1 << 12},
     "H, attention heads; they divide D where `head_dim` does not say their size."},
    {"",
     {"", "", "num_key_value_heads"},
     IntegerField{FABULA_AT(Int, model.kv_heads), 1, 1 << 12, &kZero, true},
     "Heads of keys and values; they divide H, and each serves H / so many heads of queries. null: H."},
    {"",
     {"", "", "head_dim"},
     IntegerField{FABULA_AT(Int, model.head_size), 2, kMaxHeadSize, &kZero, true},
     "Size of an attention head, an even number; null: D / H."},
    {"",
     {"n_inner", "intermediate_size", "intermediate_size"},
     IntegerField{FABULA_AT(Int, model.inner), 1, 1 << 20, &kZero},
     "F, width of the feed-forward layer; null: 4 D."},
    {"",
     {"", "attention_types", ""},
     AttentionField{true},
     "Kinds of attention by layer as patterns with counts: `[[[\"global\", \"local\"], 6]]` alternates over 12 layers. "
     "Default: alternating."},
    {"",
     {"", "attention_layers", ""},
     AttentionField{false},
     "The same with one name a layer; where both are given they agree."},
    {"",
     {"", "window_size", ""},
     IntegerField{FABULA_AT(Int, model.window_size), 1, 1 << 20},
     "Positions that a local layer sees, the token's own included."},
    {"",
     {"", "", "rope_theta"},
     RealField{FABULA_AT(double, model.rope_theta), 1, 1e12},
     "Base of the rotary positions: pair i of a head turns by position / base^(2 i / its size)."},
    {"",
     {"", "", "rope_parameters"},
     RopeField{},
     "The same as an object, `{\"rope_type\": \"default\", \"rope_theta\": 10000.0}`; where both are given they "
     "agree."},
    {"",
     {"activation_function", "activation_function", ""},
     ChoiceField{+[](const RunConfig&) { return 0; }, +[](RunConfig&, int) {}, kActivations},
     "The feed-forward layer's activation; both names mean GELU in its tanh form."},
    {"",
     {"", "", "hidden_act"},
     ChoiceField{+[](const RunConfig&) { return 0; }, +[](RunConfig&, int) {}, kGatedActivations},
     "What the feed-forward layer's gate goes through; both names mean x sigmoid(x)."},
    {"",
     {"layer_norm_epsilon", "layer_norm_epsilon", ""},
     RealField{FABULA_AT(double, model.layer_norm_epsilon), 1e-12, 0.1},
     "Added to the variance in layer norms."},
    {"",
     {"", "", "rms_norm_eps"},
     RealField{FABULA_AT(double, model.layer_norm_epsilon), 1e-12, 0.1},
     "Added to the mean square in RMS norms."},
    {"", same("initializer_range"), RealField{FABULA_AT(double, model.initializer_range), 1e-6, 10},
     "Standard deviation of fresh weights; residual projections get it over sqrt(2 layers)."},
    {"",
     {"embd_pdrop", "embed_dropout", ""},
     RealField{FABULA_AT(double, model.embd_dropout), 0, 0.99},
     "Dropout after the embeddings."},
    {"",
     {"attn_pdrop", "attention_dropout", "attention_dropout"},
     RealField{FABULA_AT(double, model.attn_dropout), 0, 0.99},
     "Dropout of attention weights; training needs 0 here, which a key left out means."},
    {"",
     {"resid_pdrop", "resid_dropout", ""},
     RealField{FABULA_AT(double, model.resid_dropout), 0, 0.99},
     "Dropout before each residual sum."},
    {"", same("tie_word_embeddings"), BooleanField{FABULA_AT(bool, model.tie_word_embeddings)},
     "The head uses the token embedding: as the matrix of a full or fused head, as the rows of a grouped head's "
     "shortlist and of its `per_group` second level. Left out: true for `per_group`, and for full and fused "
     "heads of GPT-2 and GPT-Neo."},
    {"", same("bos_token_id"), IntegerField{FABULA_AT(Int, model.bos_token_id), 0, 1 << 24, &kNone},
     "Token that stands before a prompt or a scored text; null: the one that ends documents. A run states the id that "
     "it "
     "was trained with."},
    {"", same("eos_token_id"), TokenIdsField{FABULA_AT(std::vector<Int>, model.eos_token_ids), 1 << 24},
     "Tokens at which generation stops, a number or a list; the first is what ends a document where the tokenizer's "
     "own "
     "files name none. A run states the id that it was trained with."},

    {"head", same("kind"), FABULA_CHOICE(HeadKind, model.head.kind, kHeadKinds),
     "`full`: V logits a position. `fused`: the same numbers, never all in memory. `grouped`: two levels, G groups of "
     "up to S tokens. `adaptive`: adaptive softmax, as torch.nn.AdaptiveLogSoftmaxWithLoss. `head` may also be a word "
     "in the place of its keys: `full`, `fused` and `adaptive`, the latter two with a bias, or `paper`, the grouped "
     "head "
     "of arXiv 2411.06371."},
    {"head", same("bias"), BooleanField{FABULA_AT(bool, model.head.bias)},
     "An output bias for full, fused and adaptive heads. A grouped head always has biases."},
    {"head", same("bias_init"), FABULA_CHOICE(BiasInit, model.head.bias_init, kBiasInits),
     "What output biases start at: `unigram`, the log-probabilities of the training data's token counts.",
     [](const HeadConfig& head) { return head.bias; }},
    {"head", same("modulation"), FABULA_CHOICE(HeadModulation, model.head.modulation, kModulations),
     "A group's token logits: `scale_shift`, shared logits times a row of P plus a row of Q; `low_rank`, those plus a "
     "product of rank r; `per_group`, a row of weights a token.",
     kOfGrouped},
    {"head", same("rank"), IntegerField{FABULA_AT(Int, model.head.rank), 1, 1 << 16}, "r of `low_rank`, at most D.",
     [](const HeadConfig& head) { return kOfGrouped(head) && head.modulation == HeadModulation::kLowRank; }},
    {"head", same("shortlist"), IntegerField{FABULA_AT(Int, model.head.shortlist), 0, 1 << 24},
     "K: so many most frequent tokens are classes of the first level themselves.", kOfGrouped},
    {"head", same("prototypes"), IntegerField{FABULA_AT(Int, model.head.prototypes), 1, 64},
     "Vectors a group; its score is the log-sum-exp over them.", kOfGrouped},
    {"head", same("class_input"), BooleanField{FABULA_AT(bool, model.head.class_input)},
     "Whether the first level's vector of a token's group (adaptive: cluster) is added to its input embedding.",
     [](const HeadConfig& head) { return head.has_map(); }},
    {"head", same("map"), FABULA_CHOICE(GroupMap, model.head.map, kMaps),
     "Which tokens share a group: `id_ranges`, consecutive ids; `frequency`, groups of about equal probability; "
     "`clustered`, tokens with like neighbours in the training data; `random`; `file`, as `map_file` says.",
     kOfGrouped},
    {"head", same("map_file"), TextField{FABULA_AT(std::string, model.head.map_file)},
     "A map made by `fabula data groups`, for `map` `file`.",
     [](const HeadConfig& head) { return kOfGrouped(head) && head.map == GroupMap::kFile; }},
    {"head", same("group_sizes"), FABULA_CHOICE(GroupSizes, model.head.group_sizes, kGroupSizes),
     "`equal`: groups of up to `group_size` tokens. `mass`: of about equal probability, so that groups of frequent "
     "tokens are small and those of rare ones large; for `per_group` with `map` `clustered` or `random`.",
     kOfGrouped},
    {"head", same("group_size"), IntegerField{FABULA_AT(Int, model.head.group_size), 1, 1 << 24, &kZero, true},
     "S, the most tokens of a group; null: ceil(sqrt(V - K)). Of `mass` it follows from the rest.", kOfGrouped},
    {"head", same("groups"), IntegerField{FABULA_AT(Int, model.head.groups), 1, 1 << 24, &kZero, true},
     "G; null: ceil((V - K) / S), which is the only number for `id_ranges`; of `mass` ceil(sqrt(V - K) / 2).",
     kOfGrouped},
    {"head", same("remap"), IntegerListField{FABULA_AT(std::vector<Int>, model.head.remap), 1, kHuge},
     "Steps of training after which the tokens are grouped again, by what the model has learned of them; for "
     "`per_group` with `tie_word_embeddings`, one prototype and a map `clustered` or `file`. They rise, and end before "
     "the run does.",
     [](const HeadConfig& head) { return kOfGrouped(head) || !head.remap.empty(); }},
    {"head", same("cutoffs"), IntegerListField{FABULA_AT(std::vector<Int>, model.head.cutoffs), 1, 1 << 24},
     "Adaptive: frequency ranks at which the clusters begin, rising; empty: V / 25 and V / 5.", kOfAdaptive},
    {"head", same("div_value"), RealField{FABULA_AT(double, model.head.div_value), 1, 1024},
     "Adaptive: cluster i is projected to D / div_value^(i + 1) numbers.", kOfAdaptive},

    {"train", same("batch_size"), IntegerField{FABULA_AT(Int, train.batch_size), 1, 1 << 16},
     "Sequences that the device sees at once."},
    {"train", same("sequence_length"), IntegerField{FABULA_AT(Int, train.sequence_length), 0, 1 << 20},
     "Tokens a sequence; 0: the longest context."},
    {"train", same("grad_accumulation"), IntegerField{FABULA_AT(Int, train.grad_accumulation), 1, 1 << 16},
     "Batches whose gradients are summed before a step."},
    {"train", same("precision"), FABULA_CHOICE(Precision, train.precision, kPrecisions),
     "What activations and the weights that products read are stored in: half the memory, and faster where the device "
     "has matrix units for fp16. Weights, optimizer and losses stay fp32; with fp16 the loss is scaled, and the scale "
     "backs off by itself."},
    {"train", same("recompute"), FABULA_CHOICE(Recompute, train.recompute, kRecomputes),
     "What the backward pass computes again rather than keeps: `block`, each transformer block from its input, which "
     "takes less memory and about a third more work; `auto`: `block` where the run does not fit the device's memory "
     "otherwise. The numbers are the same."},
    {"train", same("steps"), IntegerField{FABULA_AT(Int, train.steps), 0, kHuge},
     "Optimizer steps; 0: `tokens` says how long."},
    {"train", same("tokens"), IntegerField{FABULA_AT(Int, train.tokens), 0, kHuge},
     "Tokens to see in all, used when `steps` is 0; 0: `epochs` says."},
    {"train", same("epochs"), RealField{FABULA_AT(double, train.epochs), 0, 1e6},
     "Passes over the data, used when `steps` and `tokens` are 0."},
    {"train", same("learning_rate"), RealField{FABULA_AT(double, train.learning_rate), 0, 10},
     "The peak, reached after the warm-up."},
    {"train", same("min_lr_ratio"), RealField{FABULA_AT(double, train.min_lr_ratio), 0, 1},
     "Where the cosine ends, as a part of the peak."},
    {"train", same("warmup_steps"), IntegerField{FABULA_AT(Int, train.warmup_steps), 0, kHuge},
     "Steps of linear rise from 0."},
    {"train", same("weight_decay"), RealField{FABULA_AT(double, train.weight_decay), 0, 10},
     "AdamW's decoupled decay; biases, norms, P and Q have none."},
    {"train", same("beta1"), RealField{FABULA_AT(double, train.beta1), 0, 0.999999},
     "AdamW's decay of the mean gradient."},
    {"train", same("beta2"), RealField{FABULA_AT(double, train.beta2), 0, 0.999999999},
     "AdamW's decay of the mean square."},
    {"train", same("epsilon"), RealField{FABULA_AT(double, train.epsilon), 1e-30, 1}, "AdamW's epsilon."},
    {"train", same("clip_norm"), RealField{FABULA_AT(double, train.clip_norm), 0, kInfinity},
     "Largest norm of the whole gradient; 0: no clipping."},
    {"train", same("dropout"), RealField{FABULA_AT(double, train.dropout), 0, 0.99, &kAsModel},
     "Replaces the model's dropout of embeddings and residual sums, and turns that of attention weights off; null: as "
     "the model says."},
    {"train", same("seed"), IntegerField{FABULA_AT(Int, train.seed), 0, kHuge},
     "Of weights, order of the data, dropout and samples."},
    {"train", same("eval_every"), IntegerField{FABULA_AT(Int, train.eval_every), 0, kHuge},
     "Steps between validations, beside those before the first step and after the last; 0: none at all."},
    {"train", same("eval_batches"), IntegerField{FABULA_AT(Int, train.eval_batches), 0, kHuge},
     "Batches a validation looks at; 0: all."},
    {"train", same("sample_every"), IntegerField{FABULA_AT(Int, train.sample_every), 0, kHuge},
     "Steps between sample stories, beside the one at the end; 0: none at all."},
    {"train", same("sample_tokens"), IntegerField{FABULA_AT(Int, train.sample_tokens), 0, 1 << 20},
     "Tokens of a sample story at most."},
    {"train", same("sample_temperature"), RealField{FABULA_AT(double, train.sample_temperature), 0, 100},
     "Temperature of sample stories; 0: the likeliest token always."},
    {"train", same("sample_prompt"), TextField{FABULA_AT(std::string, train.sample_prompt)},
     "How sample stories begin."},
    {"train", same("save_every"), IntegerField{FABULA_AT(Int, train.save_every), 0, kHuge},
     "Steps between checkpoints; 0: only at the end or when stopped. While loss or norm has risen, the last one from "
     "before stays in RUN/last_good."},
    {"train", same("log_every"), IntegerField{FABULA_AT(Int, train.log_every), 1, kHuge},
     "Steps between lines of progress where there is no terminal; metrics.jsonl has every step."},
};

#undef FABULA_CHOICE
#undef FABULA_AT

}  // namespace

bool ConfigKey::is_called(std::string_view spelling) const {
  return !spelling.empty() && std::find(names.begin(), names.end(), spelling) != names.end();
}

std::string ConfigKey::path(ModelFamily family) const {
  return section.empty() ? std::string(name(family)) : std::string(section) + "." + std::string(name(family));
}

std::span<const ConfigKey> config_keys() {
  return kKeys;
}

std::string_view model_key(ModelFamily family, std::string_view spelling) {
  for (const ConfigKey& key : kKeys)
    if (key.section.empty() && key.is_called(spelling)) return key.name(family);
  fail(ErrorCode::kInternal, "no family has a key \"{}\"", spelling);
}

std::string_view head_kind_name(HeadKind kind) {
  return kHeadKinds[static_cast<std::size_t>(kind)];
}
std::string_view modulation_name(HeadModulation modulation) {
  return kModulations[static_cast<std::size_t>(modulation)];
}
std::string_view group_map_name(GroupMap map) {
  return kMaps[static_cast<std::size_t>(map)];
}
std::string_view group_sizes_name(GroupSizes sizes) {
  return kGroupSizes[static_cast<std::size_t>(sizes)];
}
Precision parse_precision(std::string_view name) {
  const auto found = std::find(std::begin(kPrecisions), std::end(kPrecisions), name);
  if (found == std::end(kPrecisions)) fail(ErrorCode::kInvalidArgument, "\"{}\" is no precision", name);
  return static_cast<Precision>(found - std::begin(kPrecisions));
}

std::string_view precision_name(Precision precision) {
  return kPrecisions[static_cast<std::size_t>(precision)];
}
std::string_view recompute_name(Recompute recompute) {
  return kRecomputes[static_cast<std::size_t>(recompute)];
}

}  // namespace fabula
