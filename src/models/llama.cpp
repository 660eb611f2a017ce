// Llama: RMS norms, rotary positions, keys and values that heads share, a gated feed-forward layer, no biases; linear
// weights are stored [out, in].
#include <bit>

#include "models/block.hpp"

namespace fabula::models {
namespace {
using graph::RowsOf;
using graph::Value;

void first_parameters(SpecList& specs) {
  specs.table("embed_tokens.weight", specs.config.vocab_size, RowsOf::kTokens);
}

void block_parameters(SpecList& specs) {
  const ModelConfig& config = specs.config;
  const std::int64_t D = config.hidden, F = config.feed_forward();
  const std::int64_t queries = config.heads * config.head_dim(), keys = config.key_value_heads() * config.head_dim();
  specs.rms_norm("input_layernorm");
  specs.linear("self_attn.q_proj.weight", queries, D);
  specs.linear("self_attn.k_proj.weight", keys, D);
  specs.linear("self_attn.v_proj.weight", keys, D);
  specs.linear("self_attn.o_proj.weight", D, queries, specs.residual_scale());
  specs.rms_norm("post_attention_layernorm");
  specs.linear("mlp.gate_proj.weight", F, D);
  specs.linear("mlp.up_proj.weight", F, D);
  specs.linear("mlp.down_proj.weight", D, F, specs.residual_scale());
}

Value block(const BlockCall& call, Value x) {
  const auto layer = [](std::string_view weight) { return Linear{.weight = weight}; };
  const auto onto = [](std::string_view weight, Value residual, int site) {
    return Linear{.weight = weight, .residual = residual, .site = site};
  };
  const Rows normed = call.norm(x, "input_layernorm");
  const Value q = call.linear(normed, layer("self_attn.q_proj.weight")),
              k = call.linear(normed, layer("self_attn.k_proj.weight")),
              v = call.linear(normed, layer("self_attn.v_proj.weight"));
  x = call.linear(call.attend({q, k, v}, {.rotary = true}), onto("self_attn.o_proj.weight", x, 0));
  const Rows inner = call.linear_gated(call.norm(x, "post_attention_layernorm"), layer("mlp.gate_proj.weight"),
                                       layer("mlp.up_proj.weight"));
  return call.linear(inner, onto("mlp.down_proj.weight", x, 1));
}

std::vector<heads::NamedWords> constants(const ModelConfig& config) {
  heads::NamedWords angles{kRotaryAngles, {}};
  for (const float angle : rotary_angles(config)) angles.words.push_back(std::bit_cast<std::uint32_t>(angle));
  return {angles};
}

}  // namespace

const Family kLlama = {
    .name = "llama",
    .prefix = "model.",
    .token_embedding = "embed_tokens.weight",
    .blocks = "layers.",
    .buffers = {".rotary_emb.inv_freq"},
    .norm = NormKind::kRms,
    .final_norm = "norm",
    .first_parameters = first_parameters,
    .block_parameters = block_parameters,
    .last_parameters = [](SpecList& specs) { specs.rms_norm("norm"); },
    .block = block,
    .constants = constants,
};

}  // namespace fabula::models
