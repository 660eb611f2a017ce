// GPT-2: linear weights are stored [in, out] (Conv1D), q, k and v in one matrix, scores scaled by 1/sqrt(D/H).
#include "models/block.hpp"

namespace fabula::models {
namespace {
using graph::Init;
using graph::Value;

void block_parameters(SpecList& specs) {
  const std::int64_t D = specs.config.hidden, F = specs.config.feed_forward();
  specs.layer_norm("ln_1");
  specs.linear("attn.c_attn.weight", D, 3 * D);
  specs.vector("attn.c_attn.bias", 3 * D, Init::kZeros);
  specs.linear("attn.c_proj.weight", D, D, specs.residual_scale());
  specs.vector("attn.c_proj.bias", D, Init::kZeros);
  specs.layer_norm("ln_2");
  specs.linear("mlp.c_fc.weight", D, F);
  specs.vector("mlp.c_fc.bias", F, Init::kZeros);
  specs.linear("mlp.c_proj.weight", F, D, specs.residual_scale());
  specs.vector("mlp.c_proj.bias", D, Init::kZeros);
}

Value block(const BlockCall& call, Value x) {
  graph::Graph& graph = call.graph();
  const Value qkv = graph.op1(
      "matmul", {call.layer_norm(x, "ln_1"), call.weight("attn.c_attn.weight"), call.parameter("attn.c_attn.bias")});
  const Value mixed = call.attention({qkv}, 0, true);
  x = call.project_onto(x, mixed, call.weight("attn.c_proj.weight"), call.parameter("attn.c_proj.bias"), false, 0);
  const Value inner = graph.op1(
      "matmul", {call.layer_norm(x, "ln_2"), call.weight("mlp.c_fc.weight"), call.parameter("mlp.c_fc.bias")});
  return call.project_onto(x, graph.op1("gelu", {inner}), call.weight("mlp.c_proj.weight"),
                           call.parameter("mlp.c_proj.bias"), false, 1);
}

}  // namespace

const Family kGpt2 = {
    .name = "gpt2",
    .prefix = "transformer.",
    .token_embedding = "wte.weight",
    .blocks = "h.",
    .buffers = {".attn.bias", ".attn.masked_bias"},
    .first_parameters = learned_tables,
    .block_parameters = block_parameters,
    .last_parameters = last_norm_parameters,
    .positions = learned_positions,
    .block = block,
    .final_norm = last_norm,
};

}  // namespace fabula::models
