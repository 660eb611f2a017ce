#include "convert/llama2c.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "convert/llama2c_parts.hpp"
#include "convert/output_folder.hpp"
#include "formats/llama2c_file.hpp"
#include "formats/run_config.hpp"
#include "infer/write_folder.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::convert {
namespace {

namespace fs = std::filesystem;
using Part = Llama2cPart;

class Llama2cTensors {
 public:
  explicit Llama2cTensors(const Llama2cFile& file) : file_(file) {}

  std::vector<TensorSource> all() {
    add(Part::kTokens, 0);
    for (std::int64_t layer = 0; layer < file_.sizes().layers; ++layer)
      for (const Part part : kLlama2cLayerParts) add(part, layer);
    add(Part::kFinalNorm, 0);
    if (!file_.sizes().tied) add(Part::kClassifier, 0);
    return std::move(tensors_);
  }

 private:
  void add(Part part, std::int64_t layer) {
    tensors_.push_back(tensor(llama2c_tensor(part, layer), part, layer, has_pairs(part)));
  }

  TensorSource tensor(std::string name, Part part, std::int64_t layer, bool pairs) const {
    const Llama2cFile::Shape shape = file_.shape(part);
    std::vector<std::int64_t> dims = {shape.columns};
    const bool is_norm = part == Part::kAttentionNorm || part == Part::kFeedForwardNorm || part == Part::kFinalNorm;
    if (!is_norm) dims.insert(dims.begin(), shape.rows);
    const auto as_it_stands = [this, part, layer](std::int64_t first, std::span<float> out) {
      file_.read(part, layer, first, out);
    };
    const auto by_halves = [this, part, layer, shape](std::int64_t first, std::span<float> out) {
      while (!out.empty()) {
        const std::int64_t row = first / shape.columns, column = first % shape.columns;
        const auto count = std::min(out.size(), static_cast<std::size_t>(shape.columns - column));
        const std::int64_t from = row_of_pair(row, file_.sizes().head_dim());
        file_.read(part, layer, from * shape.columns + column, out.first(count));
        out = out.subspan(count);
        first += static_cast<std::int64_t>(count);
      }
    };
    if (pairs) return {std::move(name), std::move(dims), by_halves};
    return {std::move(name), std::move(dims), as_it_stands};
  }

  const Llama2cFile& file_;
  std::vector<TensorSource> tensors_;
};

/// What stands before a text, and the ids at which one ends: what llama2.c takes for an end first, then </s>.
void settle_llama2c_ends(ModelConfig& model, const text::Tokenizer& tokenizer) {
  if (tokenizer.has_eot()) {
    model.bos_token_id = tokenizer.eot_id();
    model.eos_token_ids = {tokenizer.eot_id()};
  }
  if (tokenizer.parts().fallback && tokenizer.parts().fallback->begin)
    model.bos_token_id = *tokenizer.parts().fallback->begin;
}

std::vector<std::uint32_t> llama2c_stops(const text::Tokenizer& tokenizer) {
  std::vector<std::uint32_t> stops;
  if (tokenizer.has_eot()) stops.push_back(tokenizer.eot_id());
  if (const auto id = tokenizer.token_id("</s>"); id && stops != std::vector{*id}) stops.push_back(*id);
  return stops;
}

RunConfig llama2c_config(const Llama2cFile& file, const text::Tokenizer& tokenizer) {
  const Llama2cFile::Sizes& sizes = file.sizes();
  RunConfig config = default_config(ModelFamily::kLlama);
  ModelConfig& model = config.model;
  model.vocab_size = sizes.vocabulary;
  model.n_positions = sizes.positions;
  model.hidden = sizes.hidden;
  model.inner = sizes.inner;
  model.layers = sizes.layers;
  model.heads = sizes.heads;
  model.kv_heads = sizes.kv_heads;
  model.head_size = sizes.head_dim();
  model.layer_norm_epsilon = kLlama2cNormEpsilon;
  model.rope_theta = kLlama2cRopeTheta;
  model.tie_word_embeddings = sizes.tied;
  settle_llama2c_ends(model, tokenizer);
  validate_config(config, file.path().string());
  return config;
}

/// The tokenizer of a checkpoint whose maker kept it beside it.
fs::path llama2c_tokenizer_path(const ImportOptions& options) {
  if (!options.tokenizer.empty()) return options.tokenizer;
  const fs::path beside = options.source.parent_path() / "tokenizer.bin";
  if (!fs::exists(beside))
    fail(ErrorCode::kInvalidArgument,
         "{}: a llama2.c checkpoint has no tokenizer in it; name its tokenizer.bin, or a tokenizer.json, with "
         "--tokenizer",
         options.source.string());
  return beside;
}

}  // namespace

ModelConfig import_llama2c(const ImportOptions& options) {
  const std::optional<TensorDtype> dtype = dtype_of(options.type);
  const Llama2cFile file = Llama2cFile::open(options.source);
  const fs::path tokenizer_path = llama2c_tokenizer_path(options);
  const text::Tokenizer tokenizer = text::load_tokenizer(tokenizer_path);
  if (tokenizer.vocab_size() != file.sizes().vocabulary)
    fail(ErrorCode::kInvalidArgument, "{} has {} tokens, {} has a vocabulary of {}: they do not belong together",
         tokenizer_path.string(), tokenizer.vocab_size(), options.source.string(), file.sizes().vocabulary);
  const RunConfig config = llama2c_config(file, tokenizer);
  const models::LanguageModel model(config.model);
  Llama2cTensors tensors(file);  // which the sources below refer to
  std::vector<TensorSource> weights = tensors.all();
  for (TensorSource& source : weights) source.dtype = dtype.value_or(TensorDtype::kF32);
  OutputFolder folder(options.out, options.overwrite, {options.source, tokenizer_path});
  infer::write_model_folder(folder.update(), {.config = config,
                                              .model = model,
                                              .tokenizer = tokenizer,
                                              .weights = std::move(weights),
                                              .stop_ids = llama2c_stops(tokenizer)});
  file.check();
  folder.commit();
  return config.model;
}

}  // namespace fabula::convert
