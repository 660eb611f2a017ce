// GPT-Neo: linear weights are stored [out, in], q, k and v apart and without bias, scores NOT scaled, local layers see
// a window.
#include "models/block.hpp"

namespace fabula::models {
namespace {
using graph::Init;
using graph::Value;

void block_parameters(SpecList& specs) {
  const std::int64_t D = specs.config.hidden, F = specs.config.feed_forward();
  specs.layer_norm("ln_1");
  specs.linear("attn.attention.k_proj.weight", D, D);
  specs.linear("attn.attention.v_proj.weight", D, D);
  specs.linear("attn.attention.q_proj.weight", D, D);
  specs.linear("attn.attention.out_proj.weight", D, D, specs.residual_scale());
  specs.vector("attn.attention.out_proj.bias", D, Init::kZeros);
  specs.layer_norm("ln_2");
  specs.linear("mlp.c_fc.weight", F, D);
  specs.vector("mlp.c_fc.bias", F, Init::kZeros);
  specs.linear("mlp.c_proj.weight", D, F, specs.residual_scale());
  specs.vector("mlp.c_proj.bias", D, Init::kZeros);
}

Value block(const BlockCall& call, Value x) {
  graph::Graph& graph = call.graph();
  const Value normed = call.layer_norm(x, "ln_1");
  const auto project = [&](const char* name) {
    return graph.op1("matmul", {normed, call.weight(name)}, {{"transpose_b", 1}});
  };
  const Value q = project("attn.attention.q_proj.weight"), k = project("attn.attention.k_proj.weight"),
              v = project("attn.attention.v_proj.weight");
  const bool local = call.config().attention(call.layer) == AttentionKind::kLocal;
  const Value mixed = call.attention({q, k, v}, local ? call.config().window_size : 0, false);
  x = call.project_onto(x, mixed, call.weight("attn.attention.out_proj.weight"),
                        call.parameter("attn.attention.out_proj.bias"), true, 0);
  const Value inner =
      graph.op1("matmul", {call.layer_norm(x, "ln_2"), call.weight("mlp.c_fc.weight"), call.parameter("mlp.c_fc.bias")},
                {{"transpose_b", 1}});
  return call.project_onto(x, graph.op1("gelu", {inner}), call.weight("mlp.c_proj.weight"),
                           call.parameter("mlp.c_proj.bias"), true, 1);
}

}  // namespace

const Family kGptNeo = {
    .name = "gpt_neo",
    .prefix = "transformer.",
    .token_embedding = "wte.weight",
    .blocks = "h.",
    .buffers = {".attn.attention.bias", ".attn.attention.masked_bias"},
    .first_parameters = learned_tables,
    .block_parameters = block_parameters,
    .last_parameters = last_norm_parameters,
    .positions = learned_positions,
    .block = block,
    .final_norm = last_norm,
};

}  // namespace fabula::models
