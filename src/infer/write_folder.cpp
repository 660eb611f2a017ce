#include "infer/write_folder.hpp"

#include "base/atomic_file.hpp"
#include "base/checksum.hpp"
#include "formats/config_io.hpp"
#include "formats/model_tensors.hpp"
#include "formats/token_map.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::infer {

std::map<std::string, std::uint64_t> write_model_folder(const FolderUpdate& update, const FolderContent& content) {
  std::map<std::string, std::uint64_t> sums;
  std::map<std::string, std::string> metadata = content.metadata;
  metadata["format"] = "pt";
  sums[kWeightsFile] = write_safetensors(update.path_of(kWeightsFile), content.weights, metadata);
  const auto written = [&](const char* name) { sums[name] = file_checksum(update.path_of(name)); };
  write_file_atomically(update.path_of("config.json"), config_json(content.config));
  written("config.json");
  text::write_tokenizer_json(content.tokenizer, update.path_of("tokenizer.json"));
  written("tokenizer.json");
  if (const TokenMap* map = content.model.head().token_map()) {
    write_token_map(update.path_of(kTokenMapFile), *map, content.model.config().vocab_size);
    written(kTokenMapFile);
  }
  return sums;
}

}  // namespace fabula::infer
