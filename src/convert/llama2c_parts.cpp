#include "convert/llama2c_parts.hpp"

#include <fmt/format.h>

#include "base/fail.hpp"

namespace fabula::convert {
namespace {

std::string_view llama2c_layer_name(Llama2cPart part) {
  switch (part) {
    case Llama2cPart::kAttentionNorm:
      return "input_layernorm";
    case Llama2cPart::kQuery:
      return "self_attn.q_proj";
    case Llama2cPart::kKey:
      return "self_attn.k_proj";
    case Llama2cPart::kValue:
      return "self_attn.v_proj";
    case Llama2cPart::kOutput:
      return "self_attn.o_proj";
    case Llama2cPart::kFeedForwardNorm:
      return "post_attention_layernorm";
    case Llama2cPart::kGate:
      return "mlp.gate_proj";
    case Llama2cPart::kUp:
      return "mlp.up_proj";
    case Llama2cPart::kDown:
      return "mlp.down_proj";
    case Llama2cPart::kTokens:
    case Llama2cPart::kFinalNorm:
    case Llama2cPart::kClassifier:
      break;
  }
  fail(ErrorCode::kInternal, "a part {} of a layer of a llama2.c checkpoint", static_cast<int>(part));
}

}  // namespace

std::string llama2c_tensor(Llama2cPart part, std::int64_t layer) {
  if (part == Llama2cPart::kTokens) return "model.embed_tokens.weight";
  if (part == Llama2cPart::kFinalNorm) return "model.norm.weight";
  if (part == Llama2cPart::kClassifier) return "lm_head.weight";
  return fmt::format("model.layers.{}.{}.weight", layer, llama2c_layer_name(part));
}

}  // namespace fabula::convert
