#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/folder_update.hpp"
#include "base/hash.hpp"
#include "base/philox.hpp"
#include "formats/run_config.hpp"
#include "graph/runtime.hpp"
#include "infer/model_folder.hpp"
#include "infer/session.hpp"
#include "infer/write_folder.hpp"
#include "text/corpus.hpp"
#include "text/train_bpe.hpp"
#include "vk/device.hpp"

// Small models as training would leave them, and what they compute.
namespace fabula::test {

/// Byte-level BPE, `size` tokens of which the last ends documents.
inline text::Tokenizer small_bpe(std::uint32_t size, const std::string& pattern = "gpt2") {
  const std::string text = text::generate_corpus(3, 20);
  const std::string_view document = text;
  return text::train_bpe(std::span(&document, 1), {.vocab_size = size, .vocabulary = pattern});
}

inline ModelConfig small_model(ModelFamily family, std::int64_t vocabulary) {
  ModelConfig model = default_config(family).model;
  model.vocab_size = vocabulary;
  model.n_positions = 40;
  model.hidden = 32;
  model.layers = 2;
  model.heads = 4;
  model.inner = 64;
  if (family == ModelFamily::kLlama) model.kv_heads = 2;
  if (family == ModelFamily::kGptNeo) model.attention_layers = {AttentionKind::kGlobal, AttentionKind::kLocal};
  return model;
}

/// A number between -1 and 1 that is the same everywhere.
inline float small_number(std::uint64_t key, std::int64_t place) {
  Philox random(key, static_cast<std::uint64_t>(place));
  return static_cast<float>(random.below(2001)) / 1000.0f - 1.0f;
}

/// Writes the folder of a model whose distributions are far from flat; norms and biases are no ones and zeros.
inline void write_small_model(const std::filesystem::path& folder, ModelConfig model, const text::Tokenizer& tokenizer,
                              TensorDtype dtype = TensorDtype::kF32) {
  if (tokenizer.has_eot()) model.bos_token_id = tokenizer.eot_id(), model.eos_token_ids = {tokenizer.eot_id()};
  RunConfig config = default_config(model.family);
  config.model = model;
  const models::LanguageModel built(model);
  std::vector<TensorSource> weights;
  for (const graph::ParameterSpec& spec : built.parameters()) {
    const float mean = spec.init == graph::Init::kOnes ? 1.0f : 0.0f, spread = spec.is_vector ? 0.3f : 0.4f;
    weights.push_back({spec.name, spec.file_shape(),
                       [key = fnv1a(spec.name), mean, spread](std::int64_t first, std::span<float> out) {
                         for (std::size_t i = 0; i < out.size(); ++i)
                           out[i] = mean + spread * small_number(key, first + static_cast<std::int64_t>(i));
                       },
                       dtype});
  }
  std::filesystem::create_directories(folder);
  FolderUpdate update(folder);
  infer::write_model_folder(update, {.config = config, .model = built, .tokenizer = tokenizer, .weights = weights});
  update.commit();
}

/// What a folder's model computes, in fabula's own engine.
class DecodedFolder {
 public:
  explicit DecodedFolder(const std::filesystem::path& folder) : folder_(folder) {
    vk::DeviceOptions options;
    options.cache_dir = "none";
    device_ = vk::Device::open(options);
    graph::Workload workload(device_->profile());
    const infer::SessionGraphs graphs =
        infer::add_session_graphs(workload, folder_.model(), {.longest_chunk = 16, .distribution = true});
    runtime_.emplace(*device_, std::move(workload));
    folder_.load_weights(*runtime_);
    session_.emplace(*runtime_, graphs, folder_.model());
  }

  const infer::ModelFolder& folder() const { return folder_; }

  /// log p of the token behind each of the ids, [T][V].
  std::vector<std::vector<float>> log_probs(std::span<const std::uint32_t> ids) {
    std::vector<std::vector<float>> rows;
    for (std::size_t n = 1; n <= ids.size(); ++n) {
      session_->start(0, ids.first(n), {});
      session_->advance(1);
      if (session_->is_active(0)) session_->stop(0);
      rows.push_back(session_->log_probs(0));
    }
    return rows;
  }

 private:
  infer::ModelFolder folder_;
  std::unique_ptr<vk::Device> device_;
  std::optional<graph::Runtime> runtime_;
  std::optional<infer::Session> session_;
};

}  // namespace fabula::test
