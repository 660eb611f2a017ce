#pragma once
#include <span>

#include "formats/model_config.hpp"
#include "graph/graph.hpp"
#include "graph/parameters.hpp"

namespace fabula::train {

/// The optimizer's step as a graph: global gradient norm, clipping, AdamW. Reads the states grad.<parameter>, updates
/// the parameters and adam.m.<parameter>, adam.v.<parameter>. Inputs: "hyper" [1, 8] (adamw_hyper) and "limits" [1, 4]
/// (the norm to clip to, 0 for none; 1 when this step follows the run's last one). When the norm or the loss (the state
/// models::kLossState) is not finite nothing is changed, nor by the steps that follow: they may be under way already.
struct ApplyGraph {
  graph::Graph graph;
  graph::Value clip;  ///< kept, [1, 4]: scale, norm, 0, 1 when nothing was changed
};
/// The state [1, 1] that says whether the last step changed nothing.
inline constexpr const char* kHaltedState = "step.halted";
ApplyGraph apply_graph(std::span<const graph::ParameterSpec> parameters, const TrainConfig& config);

}  // namespace fabula::train
