#pragma once
#include <span>
#include <string_view>

#include "models/body.hpp"
#include "weights/matrix.hpp"

// What a body's functions are given, and the parts that families share.
namespace fabula::models {

/// A body being built. Parameters are called by their names within the body.
struct BodyCall {
  graph::Graph& graph;
  const ModelConfig& config;
  const Family& family;
  const graph::ParameterSet& parameters;
  const BodyShape& shape;
  const BodyInputs& inputs;  ///< of a step with the places that the body made

  const graph::ParameterSpec& spec(std::string_view name) const;
  graph::Value parameter(std::string_view name) const { return graph::ParameterSet::value_of(graph, spec(name)); }
  /// The family's kind of norm with the parameters `name`.weight and, of a layer norm, `name`.bias.
  graph::Value norm(graph::Value x, std::string_view name) const;
  /// The same, left to the products that read it.
  weights::Hidden pending_norm(graph::Value x, std::string_view name) const;
  /// residual + dropout(x). Sites are numbered: 0 the embedding, then two a layer; each draws from a stream of its own.
  graph::Value dropout(graph::Value x, graph::Value residual, double p, int site) const;
};

/// Rows [N, C] that a linear layer reads: a value, and what is still to be done to it where the layer reads it.
struct Rows {
  graph::Value x;
  std::string_view norm = {};  ///< of a norm's parameters
  bool gelu = false;
  graph::Value up = {};  ///< given: silu(x) up is read
};

/// A linear layer with what stands around it: residual + dropout(x w + bias). Which way the weight lies is said where
/// it is declared (SpecList).
struct Linear {
  std::string_view weight;
  std::string_view bias = {};  ///< empty: none
  graph::Value residual = {};
  int site = 0;  ///< with a residual: which of the layer's two dropouts
};

/// Causal attention of a layer.
struct Attention {
  std::int64_t window = 0;  ///< how many positions are seen, the own one included; 0: all
  bool scaled = true;       ///< scores by 1 / sqrt(head size)
  bool rotary = false;      ///< q and k, in values of their own, are turned by the angles of their positions
};

/// One layer being built. Parameters are called by their names within the block. A block is written once, with the
/// verbs norm, linear and attend; what they append depends on what the graph is for.
struct BlockCall {
  const BodyCall& body;
  std::int64_t layer;

  graph::Graph& graph() const { return body.graph; }
  const ModelConfig& config() const { return body.config; }
  graph::Value parameter(std::string_view name) const;
  std::unique_ptr<const weights::Matrix> matrix(std::string_view name) const;

  /// What a layer reads of x behind the norm `name`.
  Rows norm(graph::Value x, std::string_view name) const;
  graph::Value linear(const Rows& x, const Linear& of) const;
  graph::Value linear(graph::Value x, const Linear& of) const { return linear(Rows{x}, of); }
  /// gelu(x w + bias), for another linear layer to read.
  Rows linear_gelu(const Rows& x, const Linear& of) const;
  /// silu(x gate) (x up), for another linear layer to read.
  Rows linear_gated(const Rows& x, const Linear& gate, const Linear& up) const;
  /// Over q, k, v side by side in one value, or in three: k and v then have as many heads as the config says.
  graph::Value attend(std::initializer_list<graph::Value> qkv, const Attention& attention) const;

 private:
  std::string full(std::string_view name) const;
  graph::Value few_rows_linear(const Rows& x, const Linear& of, bool gelu) const;
  graph::Value angles() const;
  graph::Value cached_attend(std::span<const graph::Value> qkv, const Attention& attention) const;
};

/// cos, then sin of the angles of every position, [positions, head size]: a constant of families with rotary positions.
inline constexpr const char* kRotaryAngles = "rotary.angles";
/// Computed in double: devices promise little for sin and cos.
std::vector<float> rotary_angles(const ModelConfig& config);

// What GPT-2 and its relatives have around their blocks.
/// wte.weight [V, D], the token embedding, and wpe.weight [positions, D]: Family::first_parameters.
void learned_tables(SpecList& specs);
/// The layer norm ln_f: Family::last_parameters.
void last_norm_parameters(SpecList& specs);

}  // namespace fabula::models
