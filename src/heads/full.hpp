#pragma once
#include <string>

#include "heads/head.hpp"

namespace fabula::heads {

/// A logit for every token: logits = h W^T (+ bias), W [V, D] its own or the token embedding. Takes N x V logits, or,
/// fused with the loss, a chunk of them at a time.
class FullHead final : public Head {
 public:
  struct Options {
    std::int64_t vocabulary = 0, hidden = 0;  ///< V, D
    bool tied = false;                        ///< W is the parameter `embedding`
    graph::ParameterSpec embedding = {};
    bool bias = false;                           ///< lm_head.bias [1, V]
    std::span<const std::uint64_t> counts = {};  ///< of tokens, for the bias to start from; empty: zeros
    bool fused = false;                          ///< HeadKind::kFused
    double init_std = 0.02;
  };
  explicit FullHead(Options options);

  HeadKind kind() const override { return options_.fused ? HeadKind::kFused : HeadKind::kFull; }
  std::int64_t vocabulary() const override { return options_.vocabulary; }
  std::string describe() const override;
  std::int64_t logits() const override { return options_.vocabulary; }
  HeadLoss loss(graph::Graph& graph, graph::Value h, LossUse use, graph::Value scale) const override;
  std::vector<NamedWords> batch_inputs(std::span<const std::uint32_t> labels, LossUse use) const override;
  graph::Value log_probs(graph::Graph& graph, const Hidden& h) const override;

 private:
  const graph::ParameterSpec& weight() const;
  graph::Value bias(graph::Graph& graph) const;  ///< absent where there is none
  graph::Value logits(graph::Graph& graph, const Hidden& h) const;
  Options options_;
};

}  // namespace fabula::heads
