#include "infer/write_folder.hpp"

#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/checksum.hpp"
#include "formats/config_io.hpp"
#include "formats/json_access.hpp"
#include "formats/model_tensors.hpp"
#include "formats/token_map_tensors.hpp"
#include "own_classes.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::infer {
namespace {

/// tokenizer_config.json. The class is never GPT2Tokenizer or LlamaTokenizer: these take tokenizer.json apart and put
/// their own parts in the place of its.
std::string tokenizer_config_json(const ModelConfig& model, const text::Tokenizer& tokenizer) {
  const bool of_bytes = !tokenizer.parts().fallback;
  nlohmann::ordered_json root = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                 {"model_max_length", model.n_positions},
                                 {"model_input_names", {"input_ids", "attention_mask"}},
                                 {"clean_up_tokenization_spaces", false}};
  if (of_bytes) root["add_prefix_space"] = tokenizer.parts().prefix != text::PrefixSpace::kNever;
  const auto name = [&](const char* key, std::int64_t id) {
    if (id < 0 || id >= tokenizer.vocab_size() || !tokenizer.is_added(static_cast<std::uint32_t>(id))) return;
    root[key] = tokenizer.token_bytes(static_cast<std::uint32_t>(id));
  };
  name("bos_token", model.bos_token_id);
  if (tokenizer.has_eot()) name("eos_token", tokenizer.eot_id()), name("pad_token", tokenizer.eot_id());
  if (!of_bytes && tokenizer.token_id("<unk>")) name("unk_token", *tokenizer.token_id("<unk>"));
  return dump_json(root, 2) + "\n";
}

}  // namespace

std::map<std::string, std::uint64_t> write_model_folder(const FolderUpdate& update, FolderContent content) {
  std::map<std::string, std::uint64_t> sums;
  const auto written = [&](const char* name) { sums[name] = file_checksum(update.path_of(name)); };
  const auto write = [&](const char* name, std::string_view text) {
    write_file_atomically(update.path_of(name), text);
    written(name);
  };
  const ModelConfig& model = content.model.config();
  const TensorDtype dtype = content.weights.front().dtype;
  const TokenMap* const map = content.model.head().token_map();
  if (map != nullptr) {
    std::vector<TensorSource> of_map = token_map_tensors(*map);
    content.weights.insert(content.weights.begin(), of_map.begin(), of_map.end());
  }
  content.metadata["format"] = "pt";
  sums[kWeightsFile] = write_safetensors(update.path_of(kWeightsFile), content.weights, content.metadata);
  write("config.json", config_json(content.config, dtype, content.compression));
  write("generation_config.json", generation_config_json(content.config.model, content.stop_ids));
  text::write_tokenizer_json(content.tokenizer, update.path_of("tokenizer.json"));
  written("tokenizer.json");
  write("tokenizer_config.json", tokenizer_config_json(content.config.model, content.tokenizer));
  if (map != nullptr) {
    write_token_map(update.path_of(kTokenMapFile), *map, model.vocab_size);
    written(kTokenMapFile);
  }
  if (needs_own_classes(model)) {
    write(kConfigurationFile, embedded::kConfigurationFabula);
    write(kModelingFile, embedded::kModelingFabula);
  }
  return sums;
}

}  // namespace fabula::infer
