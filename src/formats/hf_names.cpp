#include "formats/hf_names.hpp"

#include <algorithm>
#include <set>

#include "base/fail.hpp"

namespace fabula {
namespace {

constexpr std::string_view kEmbedding = "transformer.wte.weight";
constexpr std::string_view kFullHead = "lm_head.weight";
constexpr std::size_t kMaxProblems = 8;  // a wrong config makes every tensor wrong

class SpecList {
 public:
  explicit SpecList(const ModelConfig& model) : model_(model) {}

  std::vector<TensorSpec> build() {
    const std::int64_t d = model_.hidden;
    add(std::string(kEmbedding), {model_.vocab_size, d});
    add("transformer.wpe.weight", {model_.n_positions, d});
    for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
      const std::string block = fmt::format("transformer.h.{}.", layer);
      add_norm(block + "ln_1");
      model_.family == ModelFamily::kGpt2 ? add_gpt2_attention(block) : add_gpt_neo_attention(block);
      add_norm(block + "ln_2");
      add_feed_forward(block);
    }
    add_norm("transformer.ln_f");
    add_head();
    return std::move(specs_);
  }

 private:
  void add(std::string name, std::vector<std::int64_t> shape) { specs_.push_back({std::move(name), std::move(shape)}); }

  void add_norm(const std::string& name) {
    add(name + ".weight", {model_.hidden});
    add(name + ".bias", {model_.hidden});
  }

  void add_gpt2_attention(const std::string& block) {
    const std::int64_t d = model_.hidden;
    add(block + "attn.c_attn.weight", {d, 3 * d});
    add(block + "attn.c_attn.bias", {3 * d});
    add(block + "attn.c_proj.weight", {d, d});
    add(block + "attn.c_proj.bias", {d});
  }

  void add_gpt_neo_attention(const std::string& block) {
    const std::int64_t d = model_.hidden;
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      add(fmt::format("{}attn.attention.{}.weight", block, name), {d, d});
    }
    add(block + "attn.attention.out_proj.bias", {d});
  }

  void add_feed_forward(const std::string& block) {
    const std::int64_t d = model_.hidden;
    const std::int64_t f = model_.feed_forward();
    const bool in_out = model_.family == ModelFamily::kGpt2;
    add(block + "mlp.c_fc.weight", in_out ? std::vector{d, f} : std::vector{f, d});
    add(block + "mlp.c_fc.bias", {f});
    add(block + "mlp.c_proj.weight", in_out ? std::vector{f, d} : std::vector{d, f});
    add(block + "mlp.c_proj.bias", {d});
  }

  void add_head() {
    const std::int64_t d = model_.hidden;
    if (model_.head.kind == HeadKind::kGrouped) return add_grouped_head();
    if (model_.head.kind == HeadKind::kAdaptive) return add_adaptive_head();
    if (!model_.tie_word_embeddings) add(std::string(kFullHead), {model_.vocab_size, d});
    if (model_.head.bias) add("lm_head.bias", {model_.vocab_size});
  }

  void add_grouped_head() {
    const HeadConfig& head = model_.head;
    const std::int64_t d = model_.hidden, g = model_.groups(), s = model_.slots();
    const std::int64_t tail = model_.vocab_size - head.shortlist, prototypes = g * head.prototypes;
    add("lm_head.group.weight", {prototypes + (model_.tie_word_embeddings ? 0 : head.shortlist), d});
    add("lm_head.group.bias", {prototypes + head.shortlist});
    if (head.modulation == HeadModulation::kPerGroup) {
      if (!model_.tie_word_embeddings) add("lm_head.token.weight", {tail, d});
    } else {
      add("lm_head.shared.weight", {s, d});
      add("lm_head.shared.bias", {s});
      add("lm_head.scale", {g, s});
    }
    add("lm_head.shift", {g, s});
    if (head.modulation == HeadModulation::kLowRank) {
      add("lm_head.low_rank.down.weight", {head.rank, d});
      add("lm_head.low_rank.up.weight", {tail, head.rank});
    }
  }

  void add_adaptive_head() {
    const std::vector<ModelConfig::Cluster> clusters = model_.clusters();
    const std::int64_t first = model_.cutoffs().front() + static_cast<std::int64_t>(clusters.size());
    add("lm_head.head.weight", {first, model_.hidden});
    if (model_.head.bias) add("lm_head.head.bias", {first});
    for (std::size_t i = 0; i < clusters.size(); ++i) {
      add(fmt::format("lm_head.tail.{}.0.weight", i), {clusters[i].projection, model_.hidden});
      add(fmt::format("lm_head.tail.{}.1.weight", i), {clusters[i].tokens, clusters[i].projection});
      if (model_.head.bias) add(fmt::format("lm_head.tail.{}.1.bias", i), {clusters[i].tokens});
    }
  }

  const ModelConfig& model_;
  std::vector<TensorSpec> specs_;
};

// The key of config.json that a wrong shape most likely comes from.
std::string shape_hint(const TensorSpec& spec, const ModelConfig& model) {
  const bool gpt2 = model.family == ModelFamily::kGpt2;
  if (spec.name.starts_with("lm_head.") && model.head.kind == HeadKind::kGrouped) {
    return fmt::format("the head's group_size is {}", model.slots());
  }
  if (spec.name == kEmbedding || spec.name.starts_with("lm_head."))
    return fmt::format("vocab_size is {}", model.vocab_size);
  if (spec.name.ends_with(".wpe.weight")) {
    return fmt::format("{} is {}", gpt2 ? "n_positions" : "max_position_embeddings", model.n_positions);
  }
  if (spec.name.find(".mlp.") != std::string::npos) {
    return fmt::format("{} is {}", gpt2 ? "n_inner" : "intermediate_size", model.feed_forward());
  }
  return fmt::format("{} is {}", gpt2 ? "n_embd" : "hidden_size", model.hidden);
}

// What is wrong with a tensor that stands for `spec`; empty: nothing.
std::string problem_of(const ParameterFinder& finder, const TensorSpec& spec, const ModelConfig& model) {
  const std::string* name = finder.name_of(spec.name);
  if (name == nullptr) return fmt::format("tensor \"{}\" {} is missing", spec.name, shape_text(spec.shape));
  const TensorInfo& info = finder.tensors().info(*name);
  if (!holds_weights(info.dtype))
    return fmt::format("tensor \"{}\" is {}, weights must be F32, F16 or BF16", *name, dtype_name(info.dtype));
  const std::vector<std::int64_t> shape = finder.shape_of(spec.name);  // as the model would have it
  if (shape == spec.shape) return "";
  std::vector<std::int64_t> needed = spec.shape;
  if (shape != info.shape) std::reverse(needed.begin(), needed.end());
  const bool turned = shape.size() == 2 && needed.size() == 2 && shape[0] == needed[1] && shape[1] == needed[0];
  return fmt::format("tensor \"{}\" is {}, config.json needs {}; {}", *name, shape_text(info.shape), shape_text(needed),
                     turned ? "it is transposed, other matrices of the file are not" : shape_hint(spec, model));
}

}  // namespace

std::vector<TensorSpec> expected_tensors(const ModelConfig& model) {
  ensure(model.vocab_size > 0, "the vocabulary's size is not known yet");
  return SpecList(model).build();
}

bool holds_weights(TensorDtype dtype) {
  return dtype == TensorDtype::kF32 || dtype == TensorDtype::kF16 || dtype == TensorDtype::kBf16;
}

// h.N.attn.bias, h.N.attn.attention.masked_bias and so on.
bool is_mask_buffer(std::string_view name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") ||
         name.ends_with(".attn.attention.bias") || name.ends_with(".attn.attention.masked_bias");
}

bool repeats_embedding(const ParameterFinder& finder) {
  const std::string *head = finder.name_of(kFullHead), *embedding = finder.name_of(kEmbedding);
  if (head == nullptr || embedding == nullptr) return false;
  const ModelTensors& tensors = finder.tensors();
  const auto left = tensors.raw(*head), right = tensors.raw(*embedding);
  return tensors.info(*head).shape == tensors.info(*embedding).shape &&
         std::equal(left.begin(), left.end(), right.begin(), right.end());
}

ParameterFinder match_tensors(const ModelTensors& tensors, const ModelConfig& model) {
  const std::vector<TensorSpec> specs = expected_tensors(model);
  ParameterFinder finder(tensors, specs);
  std::set<std::string> used;  // names in the file
  std::vector<std::string> problems;
  for (const TensorSpec& spec : specs) {
    if (const std::string* name = finder.name_of(spec.name)) used.insert(*name);
    if (std::string problem = problem_of(finder, spec, model); !problem.empty()) problems.push_back(std::move(problem));
  }
  for (const std::string& name : tensors.names()) {
    const std::string plain = without_wrappers(name);
    if (used.contains(name) || is_mask_buffer(plain)) continue;
    if (plain == kFullHead && !model.head.has_map()) {  // not expected, so the model is tied
      if (!repeats_embedding(finder)) {
        problems.push_back(
            "tensor \"lm_head.weight\" differs from the token embedding, config.json ties them; set "
            "tie_word_embeddings to false");
      }
      continue;
    }
    problems.push_back(fmt::format("tensor \"{}\" {} is not part of the model in config.json", name,
                                   shape_text(tensors.info(name).shape)));
  }
  if (problems.empty()) return finder;
  const std::size_t shown = std::min(problems.size(), kMaxProblems);
  std::string text =
      fmt::format("{}", fmt::join(problems.begin(), problems.begin() + static_cast<std::ptrdiff_t>(shown), "\n  "));
  if (shown < problems.size()) text += fmt::format("\n  and {} more", problems.size() - shown);
  fail(ErrorCode::kFormat, "{}: {}", tensors.path().string(), text);
}

}  // namespace fabula
