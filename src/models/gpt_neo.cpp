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
  const Rows normed = call.norm(x, "ln_1");
  const auto project = [&](const char* name) { return call.linear(normed, {.weight = name}); };
  const Value q = project("attn.attention.q_proj.weight"), k = project("attn.attention.k_proj.weight"),
              v = project("attn.attention.v_proj.weight");
  const bool local = call.config().attention(call.layer) == AttentionKind::kLocal;
  const Value mixed = call.attend({q, k, v}, {.window = local ? call.config().window_size : 0, .scaled = false});
  x = call.linear(
      mixed,
      {.weight = "attn.attention.out_proj.weight", .bias = "attn.attention.out_proj.bias", .residual = x, .site = 0});
  const Rows inner = call.linear_gelu(call.norm(x, "ln_2"), {.weight = "mlp.c_fc.weight", .bias = "mlp.c_fc.bias"});
  return call.linear(inner, {.weight = "mlp.c_proj.weight", .bias = "mlp.c_proj.bias", .residual = x, .site = 1});
}

}  // namespace

const Family kGptNeo = {
    .name = "gpt_neo",
    .prefix = "transformer.",
    .token_embedding = "wte.weight",
    .position_table = "wpe.weight",
    .blocks = "h.",
    .buffers = {".attn.attention.bias", ".attn.attention.masked_bias"},
    .final_norm = "ln_f",
    .first_parameters = learned_tables,
    .block_parameters = block_parameters,
    .last_parameters = last_norm_parameters,
    .block = block,
};

}  // namespace fabula::models
