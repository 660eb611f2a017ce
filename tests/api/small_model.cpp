#include "small_model.hpp"

#include "base/atomic_file.hpp"
#include "formats/config_io.hpp"
#include "formats/safetensors.hpp"
#include "infer/generator.hpp"
#include "infer/model_folder.hpp"
#include "models/weights.hpp"
#include "temp_dir.hpp"
#include "text/tokenizer_files.hpp"
#include "text/train_bpe.hpp"

namespace fabula::test {
namespace {

std::unique_ptr<vk::Device> open_device() {
  vk::DeviceOptions options;
  options.cache_dir = "none";
  return vk::Device::open(options);
}

void write_model(const std::filesystem::path& folder, HeadKind head) {
  const auto device = open_device();
  const RunConfig config = parse_config(
      fmt::format(
          R"({{"model_type": "gpt2", "vocab_size": {}, "n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2,
                       "tie_word_embeddings": {}, "head": "{}"}})",
          kEndToken + 1, head == HeadKind::kFull, head == HeadKind::kFull ? "full" : "paper"),
      "the tests' model");
  const models::LanguageModel model(config.model);
  graph::Workload workload(device->profile());
  infer::add_session_graphs(workload, model, {});
  graph::Runtime runtime(*device, std::move(workload));
  models::initialise_weights(runtime, model, 3);
  write_file_atomically(folder / "config.json", config_json(config));
  const std::string_view documents[] = {"abc"};
  text::write_tokenizer_json(text::train_bpe(documents, {.vocab_size = kEndToken + 1}), folder / "tokenizer.json");
  write_safetensors(folder / "model.safetensors", models::tensors_to_save(runtime, model.parameters()),
                    {{"format", "pt"}});
}

/// A folder that is there until the program ends.
class ModelOnDisk {
 public:
  explicit ModelOnDisk(HeadKind head) { write_model(folder_.path(), head); }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TempDir folder_;
};

}  // namespace

const std::filesystem::path& grouped_model() {
  static const ModelOnDisk model(HeadKind::kGrouped);
  return model.path();
}

const std::filesystem::path& full_model() {
  static const ModelOnDisk model(HeadKind::kFull);
  return model.path();
}

std::string generator_text(const std::filesystem::path& folder, const std::string& prompt, double temperature,
                           unsigned seed, int tokens) {
  const infer::ModelFolder model(folder);
  const auto device = open_device();
  graph::Workload workload(device->profile());
  infer::SessionGraphs graphs = infer::add_session_graphs(workload, model.model(), {});
  graph::Runtime runtime(*device, std::move(workload));
  model.load_weights(runtime);
  infer::Session session(runtime, std::move(graphs), model.model(), model.rows_without_token());
  infer::Generator generator(session, model.tokenizer(), model.model().head().vocabulary(), model.start_id());
  infer::GenerateOptions options;
  options.sampler.temperature = temperature;
  options.sampler.seed = seed;
  options.sampler.logit_bias = {{kEndToken, -1e30}};
  options.max_tokens = tokens;
  return generator.generate(prompt, options).text;
}

}  // namespace fabula::test
