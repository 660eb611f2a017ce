#include "convert/gguf_names.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "convert/rotary_rows.hpp"

namespace fabula::convert {
namespace {

struct BlockName {
  std::string_view ours, theirs;
  GgufLayout layout = GgufLayout::kSame;
  bool bias = false;  ///< there is one besides the weight
};

constexpr BlockName kGpt2Block[] = {{"ln_1", "attn_norm", GgufLayout::kSame, true},
                                    {"attn.c_attn", "attn_qkv", GgufLayout::kTransposed, true},
                                    {"attn.c_proj", "attn_output", GgufLayout::kTransposed, true},
                                    {"ln_2", "ffn_norm", GgufLayout::kSame, true},
                                    {"mlp.c_fc", "ffn_up", GgufLayout::kTransposed, true},
                                    {"mlp.c_proj", "ffn_down", GgufLayout::kTransposed, true}};

constexpr BlockName kLlamaBlock[] = {{"input_layernorm", "attn_norm"},
                                     {"self_attn.q_proj", "attn_q", GgufLayout::kPairs},
                                     {"self_attn.k_proj", "attn_k", GgufLayout::kPairs},
                                     {"self_attn.v_proj", "attn_v"},
                                     {"self_attn.o_proj", "attn_output"},
                                     {"post_attention_layernorm", "ffn_norm"},
                                     {"mlp.gate_proj", "ffn_gate"},
                                     {"mlp.up_proj", "ffn_up"},
                                     {"mlp.down_proj", "ffn_down"}};

void add_block(std::vector<GgufName>& names, std::span<const BlockName> block, std::string_view prefix,
               std::int64_t layer, bool halves) {
  for (const BlockName& name : block) {
    const GgufLayout layout = halves && name.layout == GgufLayout::kPairs ? GgufLayout::kSame : name.layout;
    const std::string ours = fmt::format("{}{}.{}", prefix, layer, name.ours);
    names.push_back({ours + ".weight", gguf_block_name(layer, std::string(name.theirs) + ".weight"), layout});
    if (name.bias) names.push_back({ours + ".bias", gguf_block_name(layer, std::string(name.theirs) + ".bias")});
  }
}

/// Row i of the result is row from(i).
template <class From>
std::vector<float> with_rows(const std::vector<float>& numbers, std::int64_t cols, From from) {
  std::vector<float> result(numbers.size());
  const auto rows = static_cast<std::int64_t>(numbers.size()) / cols;
  for (std::int64_t row = 0; row < rows; ++row)
    std::copy_n(numbers.begin() + from(row) * cols, cols, result.begin() + row * cols);
  return result;
}

std::vector<float> transposed(const std::vector<float>& numbers, std::int64_t rows, std::int64_t cols) {
  std::vector<float> result(numbers.size());
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t col = 0; col < cols; ++col)
      result[static_cast<std::size_t>(col * rows + row)] = numbers[static_cast<std::size_t>(row * cols + col)];
  return result;
}

}  // namespace

std::optional<GgufArchitecture> gguf_architecture(std::string_view name) {
  const auto* const found = std::find(std::begin(kGgufArchitectures), std::end(kGgufArchitectures), name);
  if (found == std::end(kGgufArchitectures)) return {};
  return static_cast<GgufArchitecture>(found - std::begin(kGgufArchitectures));
}

std::string gguf_block_name(std::int64_t layer, std::string_view name) {
  return fmt::format("blk.{}.{}", layer, name);
}

std::vector<GgufName> gguf_names(const ModelConfig& model, GgufArchitecture architecture) {
  const bool gpt2 = architecture == GgufArchitecture::kGpt2;
  const std::string prefix = gpt2 ? "transformer." : "model.";
  const auto tokens = std::string(kGgufTokens);
  std::vector<GgufName> names;
  names.push_back({prefix + (gpt2 ? "wte.weight" : "embed_tokens.weight"), tokens});
  if (gpt2) names.push_back({prefix + "wpe.weight", std::string(kGgufPositions)});
  for (std::int64_t layer = 0; layer < model.layers; ++layer)
    add_block(names, gpt2 ? std::span<const BlockName>(kGpt2Block) : kLlamaBlock, prefix + (gpt2 ? "h." : "layers."),
              layer, architecture == GgufArchitecture::kQwen2);
  const std::string norm = prefix + (gpt2 ? "ln_f" : "norm");
  names.push_back({norm + ".weight", "output_norm.weight"});
  if (gpt2) names.push_back({norm + ".bias", "output_norm.bias"});
  names.push_back({"lm_head.weight", std::string(kGgufOutput)});
  names.push_back({"lm_head.bias", std::string(kGgufOutputBias)});
  return names;
}

bool stays_fp32(std::string_view theirs, std::span<const std::int64_t> shape) {
  return shape.size() == 1 || theirs == kGgufPositions;
}

std::vector<std::int64_t> turned_shape(std::vector<std::int64_t> shape, GgufLayout layout) {
  if (layout == GgufLayout::kTransposed) std::reverse(shape.begin(), shape.end());
  return shape;
}

std::vector<float> to_gguf(std::vector<float> numbers, std::span<const std::int64_t> shape, GgufLayout layout,
                           std::int64_t head_dim) {
  if (layout == GgufLayout::kTransposed) return transposed(numbers, shape[0], shape[1]);
  if (layout == GgufLayout::kSame) return numbers;
  return with_rows(numbers, shape[1], [&](std::int64_t row) { return row_of_half(row, head_dim); });
}

std::vector<float> from_gguf(std::vector<float> numbers, std::span<const std::int64_t> shape, GgufLayout layout,
                             std::int64_t head_dim) {
  if (layout == GgufLayout::kTransposed) return transposed(numbers, shape[1], shape[0]);
  if (layout == GgufLayout::kSame) return numbers;
  return with_rows(numbers, shape[1], [&](std::int64_t row) { return row_of_pair(row, head_dim); });
}

}  // namespace fabula::convert
