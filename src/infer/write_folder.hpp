#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/folder_update.hpp"
#include "formats/run_config.hpp"
#include "formats/safetensors.hpp"
#include "models/language_model.hpp"
#include "text/tokenizer.hpp"

namespace fabula::infer {

/// The classes that a folder brings where transformers has none for the model (needs_own_classes).
inline constexpr const char* kModelingFile = "modeling_fabula.py";
inline constexpr const char* kConfigurationFile = "configuration_fabula.py";

/// A model, as it is about to be written.
struct FolderContent {
  const RunConfig& config;
  const models::LanguageModel& model;  ///< of that config
  const text::Tokenizer& tokenizer;
  std::vector<TensorSource> weights;                 ///< the model's parameters, the token embedding first
  Compression compression = {};                      ///< how those of them lie that are in few bits
  std::map<std::string, std::string> metadata = {};  ///< of model.safetensors, beside {"format": "pt"}
  /// Generation stops at any of them; empty: as config.json's eos_token_id says.
  std::vector<std::uint32_t> stop_ids = {};
};

/// Writes a model folder that fabula and transformers load: config.json, generation_config.json, model.safetensors,
/// tokenizer.json, tokenizer_config.json; of a two-level head token_groups.json too, and the same map among the
/// weights; where transformers has no class for the model, kModelingFile and kConfigurationFile. The one writer of
/// them: run folders and exports are the same. Returns the checksums of the files' bytes by name. Errors: kIo; those of
/// write_safetensors and of a TensorSource.
std::map<std::string, std::uint64_t> write_model_folder(const FolderUpdate& update, FolderContent content);

}  // namespace fabula::infer
