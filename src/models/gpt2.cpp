// GPT-2's block: linear weights are stored [in, out] (Conv1D), q, k and v in one matrix, scores scaled by 1/sqrt(D/H).
#include <cmath>

#include "models/block.hpp"

namespace fabula::models {
using namespace graph;

void gpt2_block_parameters(const ModelConfig& config, const std::string& prefix, std::vector<ParameterSpec>& into) {
  const std::int64_t D = config.hidden, F = config.feed_forward();
  const double std_dev = config.initializer_range,
               residual = std_dev / std::sqrt(2.0 * static_cast<double>(config.layers));
  const auto vector = [&](const char* name, std::int64_t n, Init init) {
    into.push_back({prefix + name, {1, n}, init, 0, false});
  };
  const auto matrix = [&](const char* name, std::int64_t in, std::int64_t out, double s) {
    into.push_back({prefix + name, {in, out}, Init::kNormal, s, true});
  };
  vector("ln_1.weight", D, Init::kOnes);
  vector("ln_1.bias", D, Init::kZeros);
  matrix("attn.c_attn.weight", D, 3 * D, std_dev);
  vector("attn.c_attn.bias", 3 * D, Init::kZeros);
  matrix("attn.c_proj.weight", D, D, residual);
  vector("attn.c_proj.bias", D, Init::kZeros);
  vector("ln_2.weight", D, Init::kOnes);
  vector("ln_2.bias", D, Init::kZeros);
  matrix("mlp.c_fc.weight", D, F, std_dev);
  vector("mlp.c_fc.bias", F, Init::kZeros);
  matrix("mlp.c_proj.weight", F, D, residual);
  vector("mlp.c_proj.bias", D, Init::kZeros);
}

Value gpt2_block(const BlockCall& call, Value x) {
  const std::int64_t D = call.config.hidden, F = call.config.feed_forward();
  Graph& graph = call.graph;
  const Value qkv = graph.op1("matmul", {call.layer_norm(x, "ln_1"), call.weight("attn.c_attn.weight", {D, 3 * D}),
                                         call.parameter("attn.c_attn.bias", {1, 3 * D})});
  const Value mixed = graph.op1(
      "attention", {qkv},
      {{"batch", double(call.shape.batch)}, {"heads", double(call.config.heads)}, {"window", 0}, {"scaled", 1}});
  x = call.project_onto(x, mixed, call.weight("attn.c_proj.weight", {D, D}), call.parameter("attn.c_proj.bias", {1, D}),
                        false, 0);
  const Value inner = graph.op1("matmul", {call.layer_norm(x, "ln_2"), call.weight("mlp.c_fc.weight", {D, F}),
                                           call.parameter("mlp.c_fc.bias", {1, F})});
  return call.project_onto(x, graph.op1("gelu", {inner}), call.weight("mlp.c_proj.weight", {F, D}),
                           call.parameter("mlp.c_proj.bias", {1, D}), false, 1);
}

}  // namespace fabula::models
