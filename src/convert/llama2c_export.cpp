#include <algorithm>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "convert/llama2c.hpp"
#include "convert/llama2c_parts.hpp"
#include "convert/model_card.hpp"
#include "convert/output_folder.hpp"
#include "models/weights.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::convert {
namespace {

[[noreturn]] void refuse_llama2c(std::string_view why) {
  fail(ErrorCode::kUnsupported, "--format llama2c: {}", why);
}

void check_llama2c_holds(const ModelConfig& model, std::optional<WeightType> type) {
  const auto nearest = "; --format hf writes any model";
  if (model.family != ModelFamily::kLlama)
    refuse_llama2c(fmt::format("llama2.c computes Llama bodies, this is {}{}", files_of(model.family).title, nearest));
  if (model.head.has_map() || model.head.bias)
    refuse_llama2c(fmt::format("llama2.c has a plain output matrix, and no {}{}",
                               model.head.has_map() ? "head of two levels" : "output bias", nearest));
  if (model.layer_norm_epsilon != kLlama2cNormEpsilon || model.rope_theta != kLlama2cRopeTheta)
    refuse_llama2c(fmt::format("llama2.c has rms_norm_eps {} and rope_theta {}, the model {} and {}{}",
                               kLlama2cNormEpsilon, kLlama2cRopeTheta, model.layer_norm_epsilon, model.rope_theta,
                               nearest));
  if (model.head_dim() * model.heads != model.hidden)
    refuse_llama2c(fmt::format("llama2.c has heads of hidden size / heads numbers, the model's have {}{}",
                               model.head_dim(), nearest));
  if (type && *type != WeightType::kF32) refuse_llama2c("llama2.c's checkpoints of version 0 are f32 alone");
}

Llama2cFile::Sizes llama2c_sizes(const ModelConfig& model) {
  return {.hidden = model.hidden,
          .inner = model.feed_forward(),
          .layers = model.layers,
          .heads = model.heads,
          .kv_heads = model.key_value_heads(),
          .vocabulary = model.vocab_size,
          .positions = model.n_positions,
          .tied = model.tie_word_embeddings};
}

/// Puts the two halves of each head's rows side by side, pair by pair.
void interleave_halves(std::span<float> values, std::int64_t columns, std::int64_t head_dim) {
  const std::vector<float> halves(values.begin(), values.end());
  for (std::int64_t row = 0; row < std::ssize(values) / columns; ++row)
    std::copy_n(halves.begin() + row * columns, columns, values.begin() + row_of_pair(row, head_dim) * columns);
}

}  // namespace

std::vector<std::filesystem::path> export_llama2c(const infer::ModelFolder& model, const ExportOptions& options) {
  const ModelConfig& config = model.config().model;
  check_llama2c_holds(config, options.type);
  const Llama2cFile::Sizes sizes = llama2c_sizes(config);
  if (model.tokenizer().vocab_size() != config.vocab_size)
    refuse_llama2c(fmt::format("the tokenizer has {} tokens, the model's vocabulary {}, and llama2.c takes one number",
                               model.tokenizer().vocab_size(), config.vocab_size));
  const std::string tokenizer = text::llama2c_tokenizer(model.tokenizer());
  OutputFolder folder(options.out, options.overwrite, {model.path()});
  const ModelTensors tensors = ModelTensors::open(model.path());
  const std::vector<TensorSource> sources = models::tensors_to_copy(model.model(), tensors);
  const auto fill = [&](Llama2cPart part, std::int64_t layer, std::span<float> out) {
    const std::string name = llama2c_tensor(part, layer);
    const auto source = std::find_if(sources.begin(), sources.end(), [&](const auto& s) { return s.name == name; });
    ensure(source != sources.end(), "a Llama model without {}", name);
    fetch_all(*source, out);
    if (has_pairs(part)) interleave_halves(out, Llama2cFile::shape_of(sizes, part).columns, sizes.head_dim());
  };
  write_llama2c(folder.path_of("model.bin"), sizes, fill);
  write_file_atomically(folder.path_of("tokenizer.bin"), tokenizer);
  write_file_atomically(folder.path_of(kModelCardFile),
                        model_card(model, name_of_folder(options.out), Format::kLlama2c));
  folder.commit();
  return {options.out / "model.bin", options.out / "tokenizer.bin", options.out / kModelCardFile};
}

}  // namespace fabula::convert
