#pragma once
#include "heads/head.hpp"
#include "heads/token_groups.hpp"

namespace fabula::heads {

/// p(v | h) = p(g | h) p(s | g, h): group logits a = W_g h + b_g [G], token logits z = scale[g] u + shift[g] with u =
/// W_s h + b_s [S] shared by all groups (Vennam, Joishy, Kumaraguru, arXiv 2411.06371, with phantom slots left out).
/// Takes N x (G + S) logits.
class GroupedHead final : public Head {
 public:
  GroupedHead(TokenGroups tokens, std::int64_t hidden, double init_std = 0.02);

  HeadKind kind() const override { return HeadKind::kGrouped; }
  std::int64_t vocabulary() const override { return tokens_.vocabulary(); }
  const TokenGroups& tokens() const { return tokens_; }
  std::vector<graph::ParameterSpec> parameters() const override;
  HeadLoss loss(graph::Graph& graph, graph::Value h, LossUse use) const override;
  std::vector<InputWords> batch_inputs(std::span<const std::uint32_t> labels, LossUse use) const override;
  graph::Value log_probs(graph::Graph& graph, graph::Value h) const override;
  std::vector<InputWords> decode_inputs() const override;

 private:
  graph::Value group_logits(graph::Graph& graph, graph::Value h) const;   ///< a [N, G]
  graph::Value shared_logits(graph::Graph& graph, graph::Value h) const;  ///< u [N, S]
  TokenGroups tokens_;
  std::int64_t hidden_;
  double init_std_;
};

}  // namespace fabula::heads
