#pragma once
#include "heads/head.hpp"
#include "heads/token_groups.hpp"

namespace fabula::heads {

/// p(v | h) = p(class | h) p(v | class, h). The first level has K + G classes: the shortlist's tokens and the groups. A
/// group's score is W_g h + b_g, or the log-sum-exp of c such prototypes. The logits of a group's S slots are
///   scale_shift  z = scale[g] u + shift[g], u = W_s h + b_s shared by all groups (Vennam, Joishy, Kumaraguru, arXiv
///                2411.06371, with phantom slots left out)
///   low_rank     z = scale[g] u + shift[g] + U[g] (R h), U [M, r], R [r, D]
///   per_group    z = W[g] h + shift[g], a row a token: class-based softmax (Goodman 2001)
/// Takes N x (K + G + S) logits. Tied, the rows of the shortlist and of per_group are those of the token embedding.
class GroupedHead final : public Head {
 public:
  struct Options {
    std::int64_t hidden = 0;  ///< D
    HeadModulation modulation = HeadModulation::kScaleShift;
    std::int64_t rank = 32;       ///< r
    std::int64_t prototypes = 1;  ///< c
    bool class_input = false;     ///< groups' vectors are added to the input embeddings of their tokens
    bool tied = false;
    graph::ParameterSpec embedding = {};         ///< the token embedding, for a tied head
    bool by_mass = false;                        ///< sizes of groups follow probability, for the description
    std::string_view map = {};                   ///< how the map was made, for the description
    std::span<const std::uint64_t> counts = {};  ///< of tokens, for biases to start from; empty: zeros
    double init_std = 0.02;
  };
  GroupedHead(TokenGroups tokens, Options options);

  HeadKind kind() const override { return HeadKind::kGrouped; }
  std::int64_t vocabulary() const override { return tokens_.vocabulary(); }
  const TokenMap* token_map() const override { return &tokens_.map(); }
  std::string describe() const override;
  std::int64_t logits() const override;
  std::optional<double> mean_logits() const override;
  HeadLoss loss(graph::Graph& graph, graph::Value h, LossUse use, graph::Value scale) const override;
  std::vector<NamedWords> batch_inputs(std::span<const std::uint32_t> labels, LossUse use) const override;
  graph::Value log_probs(graph::Graph& graph, const Hidden& h) const override;
  std::vector<NamedWords> constants() const override;

  /// Parameters whose rows or numbers are those of a class or of a slot, so that they mean something by the map alone.
  /// per_group heads have no others.
  struct OfMap {
    const graph::ParameterSpec &vectors, &bias, &shift;  ///< of groups (c = 1), of classes, of slots
    const graph::ParameterSpec* tokens = nullptr;        ///< per_group: rows of the tail in map order; null: tied
  };
  OfMap of_map() const;

 private:
  struct SlotLoss {
    graph::Value loss, correct;
    graph::Value mean = {};  ///< where the op gives it with its gradient
  };
  bool tied_shortlist() const { return options_.tied && tokens_.shortlist() > 0; }
  bool tied_tokens() const { return options_.tied && options_.modulation == HeadModulation::kPerGroup; }
  bool shares_slots() const { return options_.modulation != HeadModulation::kPerGroup; }
  bool has_plan(LossUse use) const {
    return use == LossUse::kGradient || options_.modulation != HeadModulation::kScaleShift;
  }
  void declare_parameters();
  graph::Value class_scores(graph::Graph& graph, const Hidden& h, LossUse use) const;  ///< [N, K + G]
  graph::Value shared_logits(graph::Graph& graph, const Hidden& h) const;              ///< u [N, S]
  graph::Value low_rank_vector(graph::Graph& graph, const Hidden& h) const;            ///< R h [N, r]
  const graph::ParameterSpec& token_matrix() const;                 ///< per_group: [M, D] in map order, or [V, D] tied
  graph::Value table(graph::Graph& graph, const char* name) const;  ///< a parameter [G, S]
  SlotLoss slot_loss(graph::Graph& graph, graph::Value h, LossUse use, graph::Value scale) const;
  /// Of the plan's rounds; 0: it has none.
  std::int64_t plan_slots() const { return shares_slots() ? 0 : tokens_.slots(); }

  TokenGroups tokens_;
  Options options_;
};

}  // namespace fabula::heads
