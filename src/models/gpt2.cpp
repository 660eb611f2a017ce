// GPT-2: linear weights are stored [in, out] (Conv1D), q, k and v in one matrix, scores scaled by 1/sqrt(D/H).
#include "models/block.hpp"

namespace fabula::models {
namespace {
using graph::Init;
using graph::Value;

void block_parameters(SpecList& specs) {
  const std::int64_t D = specs.config.hidden, F = specs.config.feed_forward();
  specs.layer_norm("ln_1");
  specs.conv1d("attn.c_attn.weight", D, 3 * D);
  specs.vector("attn.c_attn.bias", 3 * D, Init::kZeros);
  specs.conv1d("attn.c_proj.weight", D, D, specs.residual_scale());
  specs.vector("attn.c_proj.bias", D, Init::kZeros);
  specs.layer_norm("ln_2");
  specs.conv1d("mlp.c_fc.weight", D, F);
  specs.vector("mlp.c_fc.bias", F, Init::kZeros);
  specs.conv1d("mlp.c_proj.weight", F, D, specs.residual_scale());
  specs.vector("mlp.c_proj.bias", D, Init::kZeros);
}

Value block(const BlockCall& call, Value x) {
  const Value qkv = call.linear(call.norm(x, "ln_1"), {.weight = "attn.c_attn.weight", .bias = "attn.c_attn.bias"});
  x = call.linear(call.attend({qkv}, {}),
                  {.weight = "attn.c_proj.weight", .bias = "attn.c_proj.bias", .residual = x, .site = 0});
  const Rows inner = call.linear_gelu(call.norm(x, "ln_2"), {.weight = "mlp.c_fc.weight", .bias = "mlp.c_fc.bias"});
  return call.linear(inner, {.weight = "mlp.c_proj.weight", .bias = "mlp.c_proj.bias", .residual = x, .site = 1});
}

}  // namespace

const Family kGpt2 = {
    .name = "gpt2",
    .prefix = "transformer.",
    .token_embedding = "wte.weight",
    .position_table = "wpe.weight",
    .blocks = "h.",
    .buffers = {".attn.bias", ".attn.masked_bias"},
    .final_norm = "ln_f",
    .first_parameters = learned_tables,
    .block_parameters = block_parameters,
    .last_parameters = last_norm_parameters,
    .block = block,
};

}  // namespace fabula::models
