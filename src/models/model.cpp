#include "models/model.hpp"

#include "base/fail.hpp"
#include "models/block.hpp"
#include "ops/attention.hpp"
#include "ops/storage.hpp"

namespace fabula::models {
using namespace graph;

static_assert(ops::kMaxHeadSize == fabula::kMaxHeadSize, "a config is refused for what its attention cannot do");

Value BlockCall::parameter(const std::string& suffix, Shape parameter_shape) const {
  return graph.parameter(fmt::format("transformer.h.{}.{}", layer, suffix), parameter_shape);
}

Value BlockCall::weight(const std::string& suffix, Shape parameter_shape) const {
  return ops::cast_to(graph, parameter(suffix, parameter_shape), shape.dtype);
}

Value BlockCall::layer_norm(Value x, const std::string& name) const {
  return models::layer_norm(graph, x, fmt::format("transformer.h.{}.{}", layer, name), config);
}

Value BlockCall::project_onto(Value residual, Value a, Value weight, Value bias, bool transposed, int site) const {
  const Attrs layout{{"transpose_b", transposed ? 1.0 : 0.0}};
  if (!shape.training || config.resid_dropout == 0) return graph.op1("matmul", {a, weight, bias, residual}, layout);
  const Value y = graph.op1("matmul", {a, weight, bias}, layout);
  return dropout(graph, y, residual, inputs, config.resid_dropout, 1 + 2 * static_cast<int>(layer) + site);
}

Value layer_norm(Graph& graph, Value x, const std::string& name, const ModelConfig& config) {
  const Value weight = graph.parameter(name + ".weight", {1, config.hidden});
  const Value bias = graph.parameter(name + ".bias", {1, config.hidden});
  return graph.op1("layer_norm", {x, weight, bias}, {{"eps", config.layer_norm_epsilon}});
}

Value dropout(Graph& graph, Value x, Value residual, const BodyInputs& inputs, double p, int stream) {
  ensure(bool(inputs.seed), "dropout needs the seed input");
  return graph.op1("dropout", {x, inputs.seed, residual}, {{"p", p}, {"stream", stream}});
}

std::vector<ParameterSpec> body_parameters(const ModelConfig& config) {
  std::vector<ParameterSpec> result;
  const double std_dev = config.initializer_range;
  result.push_back({kTokenEmbedding, {config.vocab_size, config.hidden}, Init::kNormal, std_dev, true});
  result.push_back({"transformer.wpe.weight", {config.n_positions, config.hidden}, Init::kNormal, std_dev, true});
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = fmt::format("transformer.h.{}.", layer);
    if (config.family == ModelFamily::kGpt2)
      gpt2_block_parameters(config, prefix, result);
    else
      gpt_neo_block_parameters(config, prefix, result);
  }
  result.push_back({"transformer.ln_f.weight", {1, config.hidden}, Init::kOnes, 0, false});
  result.push_back({"transformer.ln_f.bias", {1, config.hidden}, Init::kZeros, 0, false});
  return result;
}

void check_supported(const ModelConfig& config, std::int64_t sequence, bool training) {
  if (sequence > config.n_positions)
    fail(ErrorCode::kInvalidArgument, "a sequence of {} positions exceeds the model's {} (n_positions)", sequence,
         config.n_positions);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const bool local = config.attention(layer) == AttentionKind::kLocal;
    const std::int64_t span = local ? std::min(config.window_size, sequence) : sequence;
    if (span > ops::kMaxAttentionSpan)
      fail(ErrorCode::kUnsupported, "layer {} attends to {} positions at a time, at most {} are supported; use a {}",
           layer, span, ops::kMaxAttentionSpan, local ? "smaller window_size" : "shorter sequence");
  }
  if (training && config.attn_dropout > 0) {
    const char* key = config.family == ModelFamily::kGpt2 ? "attn_pdrop" : "attention_dropout";
    fail(ErrorCode::kUnsupported, "dropout of attention weights is not implemented ({} is {}); train with --set {}=0",
         key, config.attn_dropout, key);
  }
}

Value body(Graph& graph, const ModelConfig& config, const BodyShape& shape, const BodyInputs& inputs) {
  check_supported(config, shape.sequence, shape.training);
  const Value table = graph.parameter(kTokenEmbedding, {config.vocab_size, config.hidden});
  const Value positions = graph.parameter("transformer.wpe.weight", {config.n_positions, config.hidden});
  Attrs stored;
  if (is_half(shape.dtype)) stored.set("out", double(storage_code(shape.dtype)));
  Value x = graph.op1("embedding", {inputs.ids, table, inputs.order, inputs.segments}, stored);
  x = graph.op1("add_position", {x, positions}, {{"sequence", double(shape.sequence)}});
  if (shape.training && config.embd_dropout > 0) x = dropout(graph, x, {}, inputs, config.embd_dropout, 0);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const Graph::Scope scope(graph, fmt::format("h.{}", layer));
    const Graph::Segment segment(graph);
    const BlockCall call{graph, config, shape, inputs, layer};
    x = config.family == ModelFamily::kGpt2 ? gpt2_block(call, x) : gpt_neo_block(call, x);
  }
  return layer_norm(graph, x, "transformer.ln_f", config);
}

}  // namespace fabula::models
