#pragma once
#include "heads/head.hpp"
#include "heads/token_groups.hpp"

namespace fabula::heads {

/// Adaptive softmax (Grave et al. 2017, arXiv 1609.04309), as torch.nn.AdaptiveLogSoftmaxWithLoss: the most frequent
/// tokens are classes of the first level, the others lie in clusters of falling frequency whose logits come from ever
/// narrower projections of h, computed a chunk at a time and never whole. In training a cluster's logits are computed
/// for the positions whose labels lie in it, and no more than a chunk of others.
class AdaptiveHead final : public Head {
 public:
  struct Options {
    std::int64_t hidden = 0;                     ///< D
    std::vector<std::int64_t> projections = {};  ///< numbers that D is projected to, by cluster
    bool class_input = false;  ///< clusters' vectors are added to the input embeddings of their tokens
    bool bias = false;         ///< on every level; torch's class has the first's alone
    std::span<const std::uint64_t> counts = {};  ///< of tokens, for biases to start from; empty: zeros
    double init_std = 0.02;
  };
  /// The map's groups are the clusters.
  AdaptiveHead(TokenGroups tokens, Options options);

  HeadKind kind() const override { return HeadKind::kAdaptive; }
  std::int64_t vocabulary() const override { return tokens_.vocabulary(); }
  const TokenMap* token_map() const override { return &tokens_.map(); }
  std::string describe() const override;
  std::int64_t logits() const override;
  std::optional<double> mean_logits() const override;
  HeadLoss loss(graph::Graph& graph, graph::Value h, LossUse use, graph::Value scale) const override;
  std::vector<NamedWords> batch_inputs(std::span<const std::uint32_t> labels, LossUse use) const override;
  graph::Value log_probs(graph::Graph& graph, const Hidden& h) const override;
  std::vector<NamedWords> constants() const override;

  /// Its parameters; a bias is null where there is none.
  struct Parts {
    struct Tail {
      const graph::ParameterSpec *down, *up, *bias;  ///< [r, D], [n, r], [1, n]
    };
    const graph::ParameterSpec *classes, *class_bias;  ///< [K + clusters, D], [1, K + clusters]
    std::vector<Tail> tails;                           ///< by cluster
  };
  Parts parts() const;

 private:
  std::size_t clusters() const { return tokens_.map().groups.size(); }
  std::int64_t size(std::size_t cluster) const { return std::int64_t(tokens_.map().groups[cluster].size()); }
  graph::Value class_scores(graph::Graph& graph, const Hidden& h) const;  ///< [N, K + clusters]
  graph::Value projected(graph::Graph& graph, const Hidden& h, std::size_t cluster) const;
  const graph::ParameterSpec& tail_weight(std::size_t cluster) const;
  graph::Value tail_bias(graph::Graph& graph, std::size_t cluster) const;  ///< absent where there is none
  TokenGroups tokens_;
  Options options_;
};

}  // namespace fabula::heads
