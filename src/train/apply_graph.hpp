#pragma once
#include <span>

#include "formats/train_config.hpp"
#include "graph/graph.hpp"
#include "graph/parameters.hpp"

namespace fabula::train {

/// The optimizer's step as a graph: global gradient norm, clipping, AdamW. Reads the states grad.<parameter>, updates
/// the parameters and adam.m.<parameter>, adam.v.<parameter>. Inputs: "hyper" [1, 8] (adamw_hyper) and "limits" [1, 4]
/// (the norm to clip to, 0 for none; 1 when this step follows the run's last one; good steps after which a loss scale
/// doubles). When the norm or the loss (the state models::kLossState) is not finite nothing is changed, nor by the
/// steps that follow: they may be under way already.
struct ApplyGraph {
  graph::Graph graph;
  graph::Value clip;  ///< kept, [1, 4]: factor of the gradients, norm, loss scale, StepOutcome
};
/// What became of a step: the last number of ApplyGraph::clip.
enum class StepOutcome {
  kApplied = 0,
  kHalted = 1,   ///< loss, norm or an earlier step's was not finite: nothing was changed, nor will be
  kSkipped = 2,  ///< the same, but a smaller loss scale may do: nothing was changed, the scale was halved
};

/// fp16's loss scale as it starts and grows; what torch.amp.GradScaler does.
struct LossScale {
  double scale = 65536;
  std::int64_t good_steps = 0;  ///< since it last changed
};
inline constexpr std::int64_t kLossScaleInterval = 2000;  ///< good steps after which it doubles
inline constexpr std::int64_t kMostLossScale = 1 << 24;   ///< shaders/optimizer/guard_step.comp stops there

/// The state [1, 1] that says whether the last step changed nothing.
inline constexpr const char* kHaltedState = "step.halted";
ApplyGraph apply_graph(std::span<const graph::ParameterSpec> parameters, const TrainConfig& config);

}  // namespace fabula::train
