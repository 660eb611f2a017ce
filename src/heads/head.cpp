#include "heads/head.hpp"

#include <cmath>

#include "base/fail.hpp"
#include "heads/adaptive.hpp"
#include "heads/full.hpp"
#include "heads/grouped.hpp"

namespace fabula::heads {
namespace {

std::unique_ptr<Head> make_full(const ModelConfig& config, const HeadData& data,
                                const graph::ParameterSpec& embedding) {
  FullHead::Options options{.vocabulary = config.vocab_size,
                            .hidden = config.hidden,
                            .tied = config.tie_word_embeddings,
                            .embedding = embedding,
                            .bias = config.head.bias,
                            .fused = config.head.kind == HeadKind::kFused,
                            .init_std = config.initializer_range};
  if (config.head.bias_init == BiasInit::kUnigram) options.counts = data.counts;
  return std::make_unique<FullHead>(std::move(options));
}

std::unique_ptr<Head> make_grouped(const ModelConfig& config, const HeadData& data,
                                   const graph::ParameterSpec& embedding) {
  TokenGroups tokens(data.map ? *data.map : consecutive_map(config), config.vocab_size, config.slots(),
                     data.map_source);
  if (tokens.shortlist() != config.head.shortlist || tokens.groups() != config.groups()) {
    fail(ErrorCode::kFormat,
         "{}: the group map has {} groups and a shortlist of {}; the config asks for head.groups {} and head.shortlist "
         "{}",
         data.map_source, tokens.groups(), tokens.shortlist(), config.groups(), config.head.shortlist);
  }
  GroupedHead::Options options{.hidden = config.hidden,
                               .modulation = config.head.modulation,
                               .rank = config.head.rank,
                               .prototypes = config.head.prototypes,
                               .class_input = config.head.class_input,
                               .tied = config.tie_word_embeddings,
                               .embedding = embedding,
                               .by_mass = config.head.group_sizes == GroupSizes::kMass,
                               .map = group_map_name(config.head.map),
                               .init_std = config.initializer_range};
  if (config.head.bias_init == BiasInit::kUnigram) options.counts = data.counts;
  return std::make_unique<GroupedHead>(std::move(tokens), std::move(options));
}

std::unique_ptr<Head> make_adaptive(const ModelConfig& config, const HeadData& data) {
  TokenGroups tokens(data.map ? *data.map : consecutive_map(config), config.vocab_size, 0, data.map_source);
  const std::vector<ModelConfig::Cluster> clusters = config.clusters();
  AdaptiveHead::Options options{.hidden = config.hidden,
                                .class_input = config.head.class_input,
                                .bias = config.head.bias,
                                .init_std = config.initializer_range};
  bool fits = static_cast<std::size_t>(tokens.groups()) == clusters.size();
  for (std::size_t i = 0; fits && i < clusters.size(); ++i) {
    options.projections.push_back(clusters[i].projection);
    fits = static_cast<std::int64_t>(tokens.map().groups[i].size()) == clusters[i].tokens;
  }
  if (!fits) {
    std::vector<std::int64_t> begins{tokens.shortlist()};
    for (const auto& cluster : tokens.map().groups) begins.push_back(begins.back() + std::int64_t(cluster.size()));
    begins.pop_back();
    fail(ErrorCode::kFormat, "{}: the group map's clusters begin at {}, the config's head.cutoffs are {}",
         data.map_source, fmt::join(begins, " "), fmt::join(config.cutoffs(), " "));
  }
  if (config.head.bias_init == BiasInit::kUnigram) options.counts = data.counts;
  return std::make_unique<AdaptiveHead>(std::move(tokens), std::move(options));
}

}  // namespace

std::string logits_text(const Head& head) {
  const std::optional<double> mean = head.mean_logits();
  if (mean && std::llround(*mean) < head.logits())
    return fmt::format("{:.0f} in the mean, {} at most", *mean, head.logits());
  return fmt::format("{}{}", mean ? "" : "at most ", head.logits());
}

std::unique_ptr<Head> make_head(const ModelConfig& config, const HeadData& data,
                                const graph::ParameterSpec& embedding) {
  if (config.vocab_size < 1)
    fail(ErrorCode::kInvalidArgument, "vocab_size is {}, a head needs at least 1 token", config.vocab_size);
  if (!data.counts.empty() && static_cast<std::int64_t>(data.counts.size()) != config.vocab_size)
    fail(ErrorCode::kInvalidArgument, "counts of {} tokens, vocab_size is {}", data.counts.size(), config.vocab_size);
  switch (config.head.kind) {
    case HeadKind::kGrouped:
      return make_grouped(config, data, embedding);
    case HeadKind::kAdaptive:
      return make_adaptive(config, data);
    case HeadKind::kFull:
    case HeadKind::kFused:
      return make_full(config, data, embedding);
  }
  fail(ErrorCode::kInternal, "there is no head of kind {}", static_cast<int>(config.head.kind));
}

}  // namespace fabula::heads
