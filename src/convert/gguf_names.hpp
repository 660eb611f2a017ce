#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_config.hpp"

// How llama.cpp's architectures name a model's tensors, and in which order these have their numbers.
// https://github.com/ggml-org/llama.cpp/blob/master/src/llama-arch.cpp
namespace fabula::convert {

/// Those that are read and written.
enum class GgufArchitecture { kGpt2, kLlama, kQwen2 };
inline constexpr std::string_view kGgufArchitectures[] = {"gpt2", "llama", "qwen2"};
inline std::string_view name_of(GgufArchitecture architecture) {
  return kGgufArchitectures[static_cast<std::size_t>(architecture)];
}
std::optional<GgufArchitecture> gguf_architecture(std::string_view name);
inline ModelFamily family_of(GgufArchitecture architecture) {
  return architecture == GgufArchitecture::kGpt2 ? ModelFamily::kGpt2 : ModelFamily::kLlama;
}

/// How a matrix lies there, as against our files.
enum class GgufLayout {
  kSame,
  kTransposed,  ///< [outputs, inputs] of our [inputs, outputs]
  kPairs,       ///< of each pair that rotary positions turn both rows are neighbours; ours are half a head apart
};

struct GgufName {
  std::string ours, theirs;
  GgufLayout layout = GgufLayout::kSame;
};

inline constexpr std::string_view kGgufTokens = "token_embd.weight", kGgufPositions = "position_embd.weight",
                                  kGgufOutput = "output.weight", kGgufOutputBias = "output.bias";
/// "blk.3.attn_q.bias"
std::string gguf_block_name(std::int64_t layer, std::string_view name);

/// The parameters of a model with a full head, as the architecture has them.
std::vector<GgufName> gguf_names(const ModelConfig& model, GgufArchitecture architecture);

/// Has the tensor to be F32 there, whatever the others are? Vectors and the table of positions: the CPU's kernels take
/// nothing else.
bool stays_fp32(std::string_view theirs, std::span<const std::int64_t> shape);

/// Numbers in our layout, `shape` in our files, as GGUF has them, and the way back; `head_dim` counts the rows of an
/// attention head.
std::vector<float> to_gguf(std::vector<float> numbers, std::span<const std::int64_t> shape, GgufLayout layout,
                           std::int64_t head_dim);
std::vector<float> from_gguf(std::vector<float> numbers, std::span<const std::int64_t> shape, GgufLayout layout,
                             std::int64_t head_dim);
/// The shape of the one as the other has it.
std::vector<std::int64_t> turned_shape(std::vector<std::int64_t> shape, GgufLayout layout);

}  // namespace fabula::convert
