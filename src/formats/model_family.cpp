#include "formats/model_family.hpp"

#include "base/fail.hpp"
#include "formats/model_config.hpp"

namespace fabula {
namespace {

constexpr FamilyFiles kGpt2 = {.model_type = "gpt2",
                               .title = "GPT-2",
                               .architecture = "GPT2LMHeadModel",
                               .own_class = "FabulaGPT2",
                               .other_architectures = {"GPT2DoubleHeadsModel", "GPT2Model"},
                               .unstated_attn_dropout = 0.1,
                               .set_defaults = nullptr,
                               .positions_twin = "n_ctx"};

constexpr FamilyFiles kGptNeo = {.model_type = "gpt_neo",
                                 .title = "GPT-Neo",
                                 .architecture = "GPTNeoForCausalLM",
                                 .own_class = "FabulaGPTNeo",
                                 .other_architectures = {"GPTNeoModel"},
                                 .unstated_attn_dropout = 0,
                                 .set_defaults = [](ModelConfig& config) {
                                   config.n_positions = config.hidden = 2048;
                                   config.layers = 24;
                                   config.heads = 16;
                                   config.embd_dropout = config.resid_dropout = 0;
                                 }};

constexpr FamilyFiles kLlama = {.model_type = "llama",
                                .title = "Llama",
                                .architecture = "LlamaForCausalLM",
                                .own_class = "FabulaLlama",
                                .other_architectures = {"LlamaModel"},
                                .unstated_attn_dropout = 0,
                                .set_defaults =
                                    [](ModelConfig& config) {
                                      config.n_positions = 2048;
                                      config.hidden = 4096;
                                      config.inner = 11008;
                                      config.layers = config.heads = 32;
                                      config.layer_norm_epsilon = 1e-6;
                                      config.embd_dropout = config.resid_dropout = 0;
                                    },
                                .ties_embeddings = false,
                                .rotary = true,
                                .states_sizes = true,
                                .absent = {"attention_bias", "mlp_bias"}};

}  // namespace

const FamilyFiles& files_of(ModelFamily family) {
  switch (family) {
    case ModelFamily::kGpt2:
      return kGpt2;
    case ModelFamily::kGptNeo:
      return kGptNeo;
    case ModelFamily::kLlama:
      return kLlama;
  }
  fail(ErrorCode::kInternal, "there is no family {}", static_cast<int>(family));
}

}  // namespace fabula
