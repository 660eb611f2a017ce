#pragma once
#include <string>

#include "models/model.hpp"

// What one transformer block needs to know, and the parts that the families share.
namespace fabula::models {

/// One layer being built.
struct BlockCall {
  graph::Graph& graph;
  const ModelConfig& config;
  const BodyShape& shape;
  const BodyInputs& inputs;
  std::int64_t layer;

  /// The parameter `transformer.h.<layer>.<suffix>`.
  graph::Value parameter(const std::string& suffix, graph::Shape parameter_shape) const;
  /// The same as a product reads it: a copy in 16 bits where activations are.
  graph::Value weight(const std::string& suffix, graph::Shape parameter_shape) const;
  graph::Value layer_norm(graph::Value x, const std::string& name) const;
  /// residual + dropout(a w + bias); `transposed` for weights stored [out, in]. One product where dropout is off.
  graph::Value project_onto(graph::Value residual, graph::Value a, graph::Value weight, graph::Value bias,
                            bool transposed, int site) const;
};

graph::Value layer_norm(graph::Graph& graph, graph::Value x, const std::string& name, const ModelConfig& config);
/// Dropout sites are numbered: 0 the embedding, then two a layer. Each draws from a stream of its own.
graph::Value dropout(graph::Graph& graph, graph::Value x, graph::Value residual, const BodyInputs& inputs, double p,
                     int stream);

// gpt2.cpp, gpt_neo.cpp
void gpt2_block_parameters(const ModelConfig& config, const std::string& prefix,
                           std::vector<graph::ParameterSpec>& into);
graph::Value gpt2_block(const BlockCall& call, graph::Value x);
void gpt_neo_block_parameters(const ModelConfig& config, const std::string& prefix,
                              std::vector<graph::ParameterSpec>& into);
graph::Value gpt_neo_block(const BlockCall& call, graph::Value x);

}  // namespace fabula::models
