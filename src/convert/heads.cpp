#include "convert/heads.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "convert/hidden_vectors.hpp"
#include "convert/output_folder.hpp"
#include "formats/match_tensors.hpp"
#include "heads/grouped.hpp"
#include "infer/write_folder.hpp"
#include "maps/build_token_map.hpp"
#include "maps/token_counts.hpp"
#include "models/weights.hpp"

namespace fabula::convert {
namespace {

constexpr const char* kFullWeight = "lm_head.weight";
constexpr const char* kFullBias = "lm_head.bias";
constexpr std::int64_t kUnseenParts = 4;

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
  }
  return weights;
}

void write_converted(const infer::ModelFolder& from, const RunConfig& config, const models::LanguageModel& model,
           const HeadWeights& weights, const HeadOptions& options) {
  OutputFolder out(options.out, options.overwrite);
  infer::FolderContent content{.config = config, .model = model, .tokenizer = from.tokenizer(), .weights = {}};
  for (const graph::ParameterSpec& spec : model.parameters())
    content.weights.push_back(tensor_from_memory(spec.name, spec.file_shape(), weights.at(spec.name)));
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

/// From a full head's numbers to a grouped one's.
class Grouping {
 public:
  Grouping(const infer::ModelFolder& from, const RunConfig& config, std::span<const std::uint64_t> counts,
           std::uint64_t seed)
      : config_(config), counts_(counts), weights_(read_all_weights(from)), embedding_(from.model().body().token_embedding().name) {
    const ModelConfig& model = from.config().model;
    rows_ = {model.hidden, weights_.at(model.tie_word_embeddings ? embedding_ : kFullWeight),
             model.head.bias ? weights_.at(kFullBias) : std::vector<float>()};
    for (float value : rows_.weight)
      if (!std::isfinite(value))
        fail(ErrorCode::kFormat, "{}: a row of the head is not finite; the model is broken", from.weights().string());
    map_ = make_map(from.weights().string(), seed);
  }

  const OutputRows& rows() const { return rows_; }
  const TokenMap& map() const { return map_; }

  /// The new model's parameters. [G, D] and [G] are `scores`.
  HeadWeights weights(const models::LanguageModel& model, const GroupScores& scores) {
    const auto& head = dynamic_cast<const heads::GroupedHead&>(model.head());
    const heads::GroupedHead::OfMap of_map = head.of_map();
    const bool tied = model.config().tie_word_embeddings;
    weights_[of_map.vectors.name] = tied ? scores.vectors : with_shortlist(scores.vectors);
    weights_[of_map.bias.name] = class_biases(scores.bias);
    weights_[of_map.shift.name] = slot_biases(of_map.shift.shape);
    if (of_map.tokens != nullptr) weights_[of_map.tokens->name] = tail_rows();
    if (head.input_classes() != nullptr) take_off_inputs(scores.vectors);
    return std::move(weights_);
  }

 private:
  TokenMap make_map(const std::string& source, std::uint64_t seed) const {
    const ModelConfig& model = config_.model;
    const maps::MapOptions options{.kind = model.head.map,
                                   .shortlist = model.head.shortlist,
                                   .groups = model.groups(),
                                   .slots = model.slots(),
                                   .sizes = model.head.group_sizes,
                                   .seed = seed};
    if (model.head.map != GroupMap::kClustered) return maps::build_token_map(options, counts_);
    // One of no text would have no direction either.
    return maps::clustered_map(maps::resolve_map_options(options, model.vocab_size), counts_,
                               maps::relative_embedding_vectors(rows_.weight, model.hidden, counts_, source));
  }

  std::span<const float> row(const std::vector<float>& table, std::uint32_t token) const {
    const auto width = static_cast<std::size_t>(rows_.hidden);
    return std::span(table).subspan(token * width, width);
  }
  float bias(std::uint32_t token) const { return rows_.bias.empty() ? 0.0f : rows_.bias[token]; }

  std::vector<float> with_shortlist(const std::vector<float>& vectors) const {
    std::vector<float> all;
    for (const std::uint32_t token : map_.shortlist) {
      const auto own = row(rows_.weight, token);
      all.insert(all.end(), own.begin(), own.end());
    }
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
  std::vector<float> tail_rows() const {
    std::vector<float> all;
    for (const auto& group : map_.groups)
      for (const std::uint32_t token : group) {
        const auto own = row(rows_.weight, token);
        all.insert(all.end(), own.begin(), own.end());
      }
    return all;
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
  HeadWeights weights_;
  std::string embedding_;
  OutputRows rows_;
  TokenMap map_;
};

}  // namespace

void check_output(const HeadOptions& options) {
  const OutputFolder out(options.out, options.overwrite);
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
  return {.was = from.model().head().describe(), .is = model.head().describe(), .tried = {}};
}

ConvertedHead convert_head(const infer::ModelFolder& from, const RunConfig& config, const HeadOptions& options,
                           vk::Device& device, const graph::Target& target, const text::TokenFile& text) {
  if (!config.model.head.has_map()) return convert_head(from, config, options);
  check_output(options);
  const std::vector<std::uint64_t> counts = row_counts(text, config.model.vocab_size);
  Grouping grouping(from, config, counts, options.seed);
  const models::LanguageModel model(config.model, {.map = grouping.map(), .counts = {}});
  const std::int64_t unseen = std::max<std::int64_t>(1, options.positions / kUnseenParts);
  std::vector<float> vectors =
      hidden_vectors(device, target, from, text, options.positions + unseen, options.seed);
  const auto cut = vectors.size() / static_cast<std::size_t>(config.model.hidden) * kUnseenParts / (kUnseenParts + 1) *
                   static_cast<std::size_t>(config.model.hidden);
  const std::vector<float> held_out(vectors.begin() + static_cast<std::ptrdiff_t>(cut), vectors.end());
  vectors.resize(cut);
  const FittedScores fitted = fit_scores(group_masses(std::move(vectors), grouping.rows(), grouping.map()),
                                         group_masses(held_out, grouping.rows(), grouping.map()), grouping.rows(),
                                         grouping.map(), counts);
  write_converted(from, config, model, grouping.weights(model, fitted.scores), options);
  return {.was = from.model().head().describe(),
          .is = model.head().describe(),
          .tried = fitted.tried,
          .best = fitted.best};
}

}  // namespace fabula::convert
