#pragma once
#include <string_view>

#include "models/body.hpp"

// What a body's functions are given, and the parts that families share.
namespace fabula::models {

/// A body being built. Parameters are called by their names within the body.
struct BodyCall {
  graph::Graph& graph;
  const ModelConfig& config;
  const Family& family;
  const graph::ParameterSet& parameters;
  const BodyShape& shape;
  const BodyInputs& inputs;

  graph::Value parameter(std::string_view name) const;
  /// weight and bias `name`.weight, `name`.bias.
  graph::Value layer_norm(graph::Value x, std::string_view name) const;
  /// residual + dropout(x). Sites are numbered: 0 the embedding, then two a layer; each draws from a stream of its own.
  graph::Value dropout(graph::Value x, graph::Value residual, double p, int site) const;
};

/// One layer being built. Parameters are called by their names within the block.
struct BlockCall {
  const BodyCall& body;
  std::int64_t layer;

  graph::Graph& graph() const { return body.graph; }
  const ModelConfig& config() const { return body.config; }
  graph::Value parameter(std::string_view name) const;
  /// The same as a product reads it: a copy in 16 bits where activations are.
  graph::Value weight(std::string_view name) const;
  graph::Value layer_norm(graph::Value x, std::string_view name) const;
  /// Causal attention over q, k, v side by side in one value, or in three.
  graph::Value attention(std::initializer_list<graph::Value> qkv, std::int64_t window, bool scaled) const;
  /// residual + dropout(a w + bias); `transposed` for weights stored [out, in]. One product where dropout is off.
  graph::Value project_onto(graph::Value residual, graph::Value a, graph::Value weight, graph::Value bias,
                            bool transposed, int site) const;

 private:
  std::string full(std::string_view name) const;
};

// What GPT-2 and its relatives have around their blocks.
/// wte.weight [V, D], the token embedding, and wpe.weight [positions, D]: Family::first_parameters.
void learned_tables(SpecList& specs);
/// A learned vector a position is added: Family::positions.
graph::Value learned_positions(const BodyCall& call, graph::Value x);
/// The layer norm ln_f: Family::last_parameters, Family::final_norm.
void last_norm_parameters(SpecList& specs);
graph::Value last_norm(const BodyCall& call, graph::Value x);

}  // namespace fabula::models
