// GPT-Neo's block: linear weights are stored [out, in], q, k and v apart and without bias, scores NOT scaled, local
// layers see a window.
#include <cmath>

#include "models/block.hpp"

namespace fabula::models {
using namespace graph;

void gpt_neo_block_parameters(const ModelConfig& config, const std::string& prefix, std::vector<ParameterSpec>& into) {
  const std::int64_t D = config.hidden, F = config.feed_forward();
  const double std_dev = config.initializer_range,
               residual = std_dev / std::sqrt(2.0 * static_cast<double>(config.layers));
  const auto vector = [&](const char* name, std::int64_t n, Init init) {
    into.push_back({prefix + name, {1, n}, init, 0, false});
  };
  const auto matrix = [&](const char* name, std::int64_t out, std::int64_t in, double s) {
    into.push_back({prefix + name, {out, in}, Init::kNormal, s, true});
  };
  vector("ln_1.weight", D, Init::kOnes);
  vector("ln_1.bias", D, Init::kZeros);
  matrix("attn.attention.k_proj.weight", D, D, std_dev);
  matrix("attn.attention.v_proj.weight", D, D, std_dev);
  matrix("attn.attention.q_proj.weight", D, D, std_dev);
  matrix("attn.attention.out_proj.weight", D, D, residual);
  vector("attn.attention.out_proj.bias", D, Init::kZeros);
  vector("ln_2.weight", D, Init::kOnes);
  vector("ln_2.bias", D, Init::kZeros);
  matrix("mlp.c_fc.weight", F, D, std_dev);
  vector("mlp.c_fc.bias", F, Init::kZeros);
  matrix("mlp.c_proj.weight", D, F, residual);
  vector("mlp.c_proj.bias", D, Init::kZeros);
}

Value gpt_neo_block(const BlockCall& call, Value x) {
  const std::int64_t D = call.config.hidden, F = call.config.feed_forward();
  Graph& graph = call.graph;
  const Value normed = call.layer_norm(x, "ln_1");
  const auto project = [&](const char* name) {
    return graph.op1("matmul", {normed, call.weight(name, {D, D})}, {{"transpose_b", 1}});
  };
  const Value q = project("attn.attention.q_proj.weight"), k = project("attn.attention.k_proj.weight"),
              v = project("attn.attention.v_proj.weight");
  const double window =
      call.config.attention(call.layer) == AttentionKind::kLocal ? double(call.config.window_size) : 0;
  const Value mixed = graph.op1(
      "attention", {q, k, v},
      {{"batch", double(call.shape.batch)}, {"heads", double(call.config.heads)}, {"window", window}, {"scaled", 0}});
  x = call.project_onto(x, mixed, call.weight("attn.attention.out_proj.weight", {D, D}),
                        call.parameter("attn.attention.out_proj.bias", {1, D}), true, 0);
  const Value inner = graph.op1(
      "matmul",
      {call.layer_norm(x, "ln_2"), call.weight("mlp.c_fc.weight", {F, D}), call.parameter("mlp.c_fc.bias", {1, F})},
      {{"transpose_b", 1}});
  return call.project_onto(x, graph.op1("gelu", {inner}), call.weight("mlp.c_proj.weight", {D, F}),
                           call.parameter("mlp.c_proj.bias", {1, D}), true, 1);
}

}  // namespace fabula::models
