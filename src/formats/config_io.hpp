#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "formats/run_config.hpp"
#include "formats/safetensors.hpp"

namespace fabula {

/// What describes a model, in its folder, and the most bytes that are read of it.
inline constexpr const char* kConfigFile = "config.json";
inline constexpr std::size_t kMaxConfigBytes = 4u << 20;

/// Is it said what is passed over in a config?
enum class ConfigNotes { kSaid, kSilent };

/// Reads a config file, or config.json of a folder: a family's keys as Hugging Face writes them, the head under
/// "head", training under "train". `overrides` are "key=value" texts with dotted keys ("train.learning_rate=1e-3") that
/// replace or add keys before anything is checked. Keys that Hugging Face writes and that change nothing here are
/// passed over; keys that would change the model are refused (kUnsupported); every other unknown key is an error that
/// names the nearest valid one. Errors: kNotFound, kIo, kFormat, kInvalidArgument, kUnsupported.
RunConfig load_config(const std::filesystem::path& file_or_folder, const std::vector<std::string>& overrides = {},
                      ConfigNotes notes = ConfigNotes::kSaid);

/// The same from a text; `source` names it in messages.
RunConfig parse_config(std::string_view json_text, std::string_view source,
                       const std::vector<std::string>& overrides = {}, ConfigNotes notes = ConfigNotes::kSaid);

/// config.json of a run folder: the family's own keys, so that Hugging Face loads a plain model; a model that Hugging
/// Face has not (needs_own_classes) gets a model_type, architectures and auto_map of its own, so that nothing loads it
/// as what it is not. `dtype`: of the weights beside it, kF32, kF16 or kBf16; `compression`: how those of them lie that
/// are in few bits, whatever the config says of the weights that it came with.
std::string config_json(const RunConfig& config, TensorDtype dtype = TensorDtype::kF32,
                        const Compression& compression = {});

/// Has Hugging Face no class for the model (a two-level head, an output bias), so that its folder brings one?
bool needs_own_classes(const ModelConfig& model);

/// generation_config.json: what a text begins with, what shorter ones are filled up with, and the ids at which
/// generation stops; none given: eos_token_id of the config.
std::string generation_config_json(const ModelConfig& model, const std::vector<std::uint32_t>& stop_ids = {});

/// The keys of config.json that differ: "train.batch_size was 8, is 4; n_layer was 2, is 3".
std::string config_differences(const RunConfig& was, const RunConfig& is);

/// Every key with its type, default, range and meaning, as Markdown; from the table that the reader uses.
std::string config_reference_markdown();

}  // namespace fabula
