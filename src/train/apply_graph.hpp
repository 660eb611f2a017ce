#pragma once
#include <span>

#include "formats/model_config.hpp"
#include "graph/graph.hpp"
#include "graph/parameters.hpp"

namespace fabula::train {

/// The optimizer's step as a graph: global gradient norm, clipping, AdamW. Reads the states grad.<parameter>, updates
/// the parameters and adam.m.<parameter>, adam.v.<parameter>. Inputs: "hyper" [1, 8] (adamw_hyper) and "limits" [1, 4]
/// (first word: the norm to clip to, 0 for none). When the norm is not finite nothing is changed.
struct ApplyGraph {
  graph::Graph graph;
  graph::Value clip;  ///< kept, [1, 4]: scale, norm, 0, 1 when the norm is not finite
};
ApplyGraph apply_graph(std::span<const graph::ParameterSpec> parameters, const TrainConfig& config);

}  // namespace fabula::train
