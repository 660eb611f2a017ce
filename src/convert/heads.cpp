#include "convert/heads.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/fail.hpp"
#include "base/half.hpp"
#include "base/log.hpp"
#include "convert/hidden_vectors.hpp"
#include "convert/narrow_rows.hpp"
#include "convert/output_folder.hpp"
#include "formats/match_tensors.hpp"
#include "heads/adaptive.hpp"
#include "heads/grouped.hpp"
#include "infer/write_folder.hpp"
#include "maps/build_token_map.hpp"
#include "maps/token_counts.hpp"
#include "models/weights.hpp"

namespace fabula::convert {
namespace {

constexpr const char* kFullWeight = "lm_head.weight";
constexpr const char* kFullBias = "lm_head.bias";
constexpr std::int64_t kSeenParts = 4;  // to one that is not

/// A model's parameters by name, in the model's orientation.
using HeadWeights = std::map<std::string, std::vector<float>>;

HeadWeights read_all_weights(const infer::ModelFolder& folder) {
  const ModelTensors tensors = ModelTensors::open(folder.path());
  const ParameterFinder finder =
      match_tensors(tensors, models::expected_tensors(folder.model()), folder.config().model);
  if (finder.transposed()) log_info(finder.note());
  HeadWeights weights;
  for (const graph::ParameterSpec& spec : folder.model().parameters()) {
    std::vector<float>& values = weights[spec.name];
    values.resize(static_cast<std::size_t>(spec.shape.count()));
    finder.read(spec.name, values);
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
      fail(ErrorCode::kFormat, "{}: tensor \"{}\" has a number that is not finite; the model is broken",
           tensors.path().string(), spec.name);
  }
  return weights;
}

TensorDtype keeper_of(std::span<const float> values, TensorDtype dtype) {
  const auto stays = [dtype](float value) {
    return value ==
           (dtype == TensorDtype::kF16 ? half_to_float(float_to_half(value)) : bf16_to_float(float_to_bf16(value)));
  };
  return dtype == TensorDtype::kF32 || std::all_of(values.begin(), values.end(), stays) ? dtype : TensorDtype::kF32;
}

/// Gives the tensors the types that they have in the source, new ones that of its token embedding, where every number
/// stays what it is; one that would not makes all fp32, because readers take one type for all.
void keep_types(const infer::ModelFolder& from, const HeadWeights& weights, std::vector<TensorSource>& sources) {
  const ModelTensors tensors = ModelTensors::open(from.path());
  std::map<std::string, TensorDtype> types;
  for (const TensorSource& source : models::tensors_to_copy(from.model(), tensors)) types[source.name] = source.dtype;
  const TensorDtype embedding = types.at(from.model().body().token_embedding().name);
  for (TensorSource& source : sources) {
    const auto type = types.find(source.name);
    const TensorDtype wanted = type == types.end() ? embedding : type->second;
    source.dtype = keeper_of(weights.at(source.name), wanted);
    if (source.dtype == wanted) continue;
    log_info(
        fmt::format("the new head's numbers do not fit {}: all tensors are written in F32; `fabula import DIR "
                    "--dtype` narrows them",
                    dtype_name(wanted)));
    for (TensorSource& each : sources) each.dtype = TensorDtype::kF32;
    return;
  }
}

void write_converted(const infer::ModelFolder& from, const RunConfig& config, const models::LanguageModel& model,
                     const HeadWeights& weights, const HeadOptions& options) {
  OutputFolder out(options.out, options.overwrite, {from.path()});
  infer::FolderContent content{.config = config, .model = model, .tokenizer = from.tokenizer(), .weights = {}};
  for (const graph::ParameterSpec& spec : model.parameters())
    content.weights.push_back(tensor_from_memory(spec.name, spec.file_shape(), weights.at(spec.name)));
  keep_types(from, weights, content.weights);
  content.stop_ids = from.stop_ids();
  infer::write_model_folder(out.update(), content);
  out.commit();
}

/// The counts of the model's rows: those that no token has are never in a text.
std::vector<std::uint64_t> row_counts(const text::TokenFile& text, std::int64_t vocabulary) {
  std::vector<std::uint64_t> counts = maps::token_counts(text);
  counts.resize(static_cast<std::size_t>(vocabulary), 0);
  return counts;
}

/// How likely the full head finds a group, position by position. [N]
std::vector<double> probabilities_of(std::size_t group, const GroupMasses& masses) {
  std::vector<double> result;
  const auto G = static_cast<std::size_t>(masses.groups);
  for (std::size_t n = 0; n < masses.shortlist.size(); ++n) {
    const float* const scores = masses.scores.data() + n * G;
    const double most = std::max(*std::max_element(scores, scores + G), masses.shortlist[n]);
    double total = std::exp(masses.shortlist[n] - most);
    for (std::size_t g = 0; g < G; ++g) total += std::exp(scores[g] - most);
    result.push_back(std::exp(scores[group] - most) / total + 1e-9);  // and nowhere nothing
  }
  return result;
}

struct NamedMap {
  std::string_view name;
  TokenMap map;
};

/// From a full head's numbers to those of one with a map.
class TwoLevels {
 public:
  TwoLevels(const infer::ModelFolder& from, const RunConfig& config, std::span<const std::uint64_t> counts)
      : config_(config),
        counts_(counts),
        source_(from.weights().string()),
        weights_(read_all_weights(from)),
        embedding_(from.model().body().token_embedding().name) {
    const ModelConfig& model = from.config().model;
    rows_ = {model.hidden, weights_.at(model.tie_word_embeddings ? embedding_ : kFullWeight),
             model.head.bias ? weights_.at(kFullBias) : std::vector<float>()};
  }

  /// Maps that the config has, one or several, for a model with these hidden vectors.
  std::vector<NamedMap> maps(const std::vector<float>& vectors, std::uint64_t seed) const {
    const ModelConfig& model = config_.model;
    if (model.head.kind == HeadKind::kAdaptive)
      return {{"frequency", maps::frequency_clusters(counts_, model.cutoffs())}};
    maps::MapOptions options{.kind = model.head.map,
                             .shortlist = model.head.shortlist,
                             .groups = model.groups(),
                             .slots = model.slots(),
                             .sizes = model.head.group_sizes,
                             .seed = seed};
    if (model.head.map != GroupMap::kClustered)
      return {{group_map_name(model.head.map), maps::build_token_map(options, counts_)}};
    options = maps::resolve_map_options(options, model.vocab_size);
    const auto clusters_of = [&](const std::vector<float>& table) {
      return maps::clustered_map(options, counts_,
                                 maps::relative_embedding_vectors(table, model.hidden, counts_, source_));
    };
    return {{"rows", clusters_of(rows_.weight)}, {"rows as read", clusters_of(rows_as_read(rows_, vectors))}};
  }
  void take_map(TokenMap map) { map_ = std::move(map); }

  const OutputRows& rows() const { return rows_; }
  const TokenMap& map() const { return map_; }

  /// The new model's parameters, with these scores of its groups. `seen`: where the full head was looked at.
  HeadWeights weights(const models::LanguageModel& model, const GroupScores& scores, const GroupMasses& seen) {
    if (model.head().kind() == HeadKind::kAdaptive)
      add_adaptive(dynamic_cast<const heads::AdaptiveHead&>(model.head()).parts(), scores, seen);
    else
      add_grouped(dynamic_cast<const heads::GroupedHead&>(model.head()).of_map(), scores);
    if (model.head().input_classes() != nullptr) take_off_inputs(scores.vectors);
    return std::move(weights_);
  }

 private:
  void add_grouped(const heads::GroupedHead::OfMap& of_map, const GroupScores& scores) {
    weights_[of_map.vectors.name] = config_.model.tie_word_embeddings ? scores.vectors : with_shortlist(scores.vectors);
    weights_[of_map.bias.name] = class_biases(scores.bias);
    weights_[of_map.shift.name] = slot_biases(of_map.shift.shape);
    if (of_map.tokens == nullptr) return;
    std::vector<float>& rows = weights_[of_map.tokens->name];
    for (const auto& group : map_.groups) append_rows(group, rows);
  }
  void add_adaptive(const heads::AdaptiveHead::Parts& parts, const GroupScores& scores, const GroupMasses& seen) {
    weights_[parts.classes->name] = with_shortlist(scores.vectors);
    weights_[parts.class_bias->name] = class_biases(scores.bias);
    for (std::size_t i = 0; i < map_.groups.size(); ++i) {
      const auto& cluster = map_.groups[i];
      std::vector<float> rows, biases;
      append_rows(cluster, rows);
      std::vector<double> of_tokens;
      for (const std::uint32_t token : cluster) {
        of_tokens.push_back(static_cast<double>(counts_[token]) + 1);
        biases.push_back(bias(token));
      }
      NarrowRows narrow = narrow_rows({rows_.hidden, rows, biases, of_tokens}, parts.tails[i].down->shape.rows,
                                      seen.vectors, probabilities_of(i, seen));
      weights_[parts.tails[i].down->name] = std::move(narrow.down);
      weights_[parts.tails[i].up->name] = std::move(narrow.up);
      weights_[parts.tails[i].bias->name] = std::move(narrow.bias);
    }
  }

  std::span<const float> row(const std::vector<float>& table, std::uint32_t token) const {
    const auto width = static_cast<std::size_t>(rows_.hidden);
    return std::span(table).subspan(token * width, width);
  }
  float bias(std::uint32_t token) const { return rows_.bias.empty() ? 0.0f : rows_.bias[token]; }

  void append_rows(const std::vector<std::uint32_t>& tokens, std::vector<float>& to) const {
    for (const std::uint32_t token : tokens) {
      const auto own = row(rows_.weight, token);
      to.insert(to.end(), own.begin(), own.end());
    }
  }
  std::vector<float> with_shortlist(const std::vector<float>& vectors) const {
    std::vector<float> all;
    append_rows(map_.shortlist, all);
    all.insert(all.end(), vectors.begin(), vectors.end());
    return all;
  }
  std::vector<float> class_biases(const std::vector<float>& of_groups) const {
    std::vector<float> all;
    for (const std::uint32_t token : map_.shortlist) all.push_back(bias(token));
    all.insert(all.end(), of_groups.begin(), of_groups.end());
    return all;
  }
  std::vector<float> slot_biases(const graph::Shape& shape) const {
    std::vector<float> shift(static_cast<std::size_t>(shape.count()), 0);
    for (std::size_t g = 0; g < map_.groups.size(); ++g)
      for (std::size_t s = 0; s < map_.groups[g].size(); ++s)
        shift[g * static_cast<std::size_t>(shape.cols) + s] = bias(map_.groups[g][s]);
    return shift;
  }
  /// So that the embedding of a token and its class's vector add up to what the model read before.
  void take_off_inputs(const std::vector<float>& vectors) {
    std::vector<float>& table = weights_.at(embedding_);
    const auto width = static_cast<std::size_t>(rows_.hidden);
    for (std::size_t g = 0; g < map_.groups.size(); ++g)
      for (const std::uint32_t token : map_.groups[g])
        for (std::size_t d = 0; d < width; ++d) table[token * width + d] -= vectors[g * width + d];
  }

  const RunConfig& config_;
  std::span<const std::uint64_t> counts_;
  std::string source_;
  HeadWeights weights_;
  std::string embedding_;
  OutputRows rows_;
  TokenMap map_;
};

/// Hidden vectors [N, D] of a text to fit scores to, and others.
struct Looks {
  std::vector<float> seen, unseen;
};
Looks look(const infer::ModelFolder& from, const HeadOptions& options, vk::Device& device, const graph::Target& target,
           const text::TokenFile& text) {
  Looks looks;
  looks.seen =
      hidden_vectors(device, target, from, text, options.positions + options.positions / kSeenParts, options.seed);
  const auto width = static_cast<std::size_t>(from.config().model.hidden);
  const std::size_t cut = looks.seen.size() / width * kSeenParts / (kSeenParts + 1) * width;
  looks.unseen.assign(looks.seen.begin() + static_cast<std::ptrdiff_t>(cut), looks.seen.end());
  looks.seen.resize(cut);
  return looks;
}

}  // namespace

void check_output(const infer::ModelFolder& from, const HeadOptions& options) {
  const OutputFolder out(options.out, options.overwrite, {from.path()});
}

ConvertedHead convert_head(const infer::ModelFolder& from, const RunConfig& config, const HeadOptions& options) {
  if (config.model.head.has_map())
    fail(ErrorCode::kInvalidArgument,
         "a head of kind {} is made from a text, which says how frequent tokens are and where the model is to stay as "
         "it is: name one with --data",
         head_kind_name(config.model.head.kind));
  const models::LanguageModel model(config.model);
  HeadWeights weights = read_all_weights(from);
  if (config.model.head.bias && !from.config().model.head.bias)
    weights[kFullBias].assign(static_cast<std::size_t>(config.model.vocab_size), 0);
  if (!config.model.tie_word_embeddings && from.config().model.tie_word_embeddings)
    weights[kFullWeight] = weights.at(from.model().body().token_embedding().name);
  write_converted(from, config, model, weights, options);
  ConvertedHead result;
  result.was = from.model().head().describe();
  result.is = model.head().describe();
  return result;
}

ConvertedHead convert_head(const infer::ModelFolder& from, const RunConfig& config, const HeadOptions& options,
                           vk::Device& device, const graph::Target& target, const text::TokenFile& text) {
  if (!config.model.head.has_map()) return convert_head(from, config, options);
  check_output(from, options);
  const std::vector<std::uint64_t> counts = row_counts(text, config.model.vocab_size);
  TwoLevels levels(from, config, counts);
  const Looks looks = look(from, options, device, target, text);
  ConvertedHead result;
  result.was = from.model().head().describe();
  GroupMasses seen;
  FittedScores fitted;
  for (NamedMap& candidate : levels.maps(looks.seen, options.seed)) {
    GroupMasses masses = group_masses(looks.seen, levels.rows(), candidate.map);
    FittedScores scores = fit_scores(masses, group_masses(looks.unseen, levels.rows(), candidate.map), levels.rows(),
                                     candidate.map, counts);
    result.maps.push_back({candidate.name, scores.tried[scores.best].cost});
    if (result.maps.size() > 1 && !(result.maps.back().cost < result.maps[result.map].cost)) continue;
    result.map = result.maps.size() - 1;
    levels.take_map(std::move(candidate.map));
    seen = std::move(masses);
    fitted = std::move(scores);
  }
  const models::LanguageModel model(config.model, {.map = levels.map(), .counts = {}});
  write_converted(from, config, model, levels.weights(model, fitted.scores, seen), options);
  result.is = model.head().describe();
  result.tried = std::move(fitted.tried);
  result.best = fitted.best;
  return result;
}

}  // namespace fabula::convert
