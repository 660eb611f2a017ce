#include "train/run_folder.hpp"

#include <algorithm>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/folder_update.hpp"
#include "formats/config_io.hpp"
#include "formats/hf_names.hpp"
#include "formats/safetensors.hpp"
#include "formats/token_map.hpp"
#include "graph/workload.hpp"
#include "models/weights.hpp"
#include "text/tokenizer_files.hpp"

namespace fabula::train {
namespace {

namespace fs = std::filesystem;
constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kStateFile = "state.json";
constexpr const char* kStepKey = "step";
/// What a run writes, moves or empties beside the two folders of FolderUpdate and the lock.
constexpr std::string_view kWritten[] = {kModelFile,    kOptimizerFile,  kStateFile,    "config.json", "tokenizer.json",
                                         kTokenMapFile, "metrics.jsonl", "report.html", "data"};

fs::path locked(const fs::path& path) {
  ensure_directory(path);
  return path / ".lock";
}

void check_step(const SafetensorsFile& file, std::int64_t step) {
  const auto it = file.metadata().find(kStepKey);
  const std::string found = it == file.metadata().end() ? "no step" : "step " + it->second;
  if (it == file.metadata().end() || it->second != std::to_string(step))
    fail(ErrorCode::kFormat,
         "{} is of {}, {} of step {}: they do not belong together; restore the folder from a copy, or start anew in "
         "another",
         file.path().string(), found, kStateFile, step);
}

}  // namespace

RunFolder::RunFolder(fs::path path) : path_(std::move(path)), lock_(locked(path_), path_.string()) {
  for (const std::string_view name : kWritten) check_no_link_out(path_, name);
  FolderUpdate::recover(path_);
}

bool RunFolder::has_state() const {
  return fs::exists(file(kStateFile));
}

void RunFolder::check_usable(bool may_continue) const {
  if (has_state()) {
    if (!may_continue)
      fail(ErrorCode::kInvalidArgument,
           "{} already holds a run at step {}; continue it with --resume auto, or choose another folder",
           path_.string(), read_state().step);
    return;
  }
  if (fs::exists(file(kModelFile)))
    fail(ErrorCode::kInvalidArgument, "{} holds a {} and no {}: training would overwrite it; choose another folder",
         path_.string(), kModelFile, kStateFile);
}

RunState RunFolder::read_state() const {
  return read_run_state(file(kStateFile));
}

void RunFolder::save(graph::Runtime& runtime, const models::LanguageModel& model, const RunConfig& config,
                     const text::Tokenizer& tokenizer, const RunState& state) {
  FolderUpdate update(path_);
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {kStepKey, std::to_string(state.step)}};
  write_safetensors(update.path_of(kModelFile), models::tensors_to_save(runtime, model), metadata);
  std::vector<TensorSource> optimizer;
  for (const char* moment : {"m.", "v."})
    for (TensorSource& source : models::tensors_to_save(runtime, model, std::string(graph::kOptimizerPrefix) + moment))
      optimizer.push_back(std::move(source));
  write_safetensors(update.path_of(kOptimizerFile), optimizer, metadata);
  write_file_atomically(update.path_of("config.json"), config_json(config));
  text::write_tokenizer_json(tokenizer, update.path_of("tokenizer.json"));
  if (const TokenMap* map = model.head().token_map())
    write_token_map(update.path_of(kTokenMapFile), *map, model.config().vocab_size);
  write_run_state(update.path_of(kStateFile), state);
  update.commit();
}

void RunFolder::load(graph::Runtime& runtime, const models::LanguageModel& model, const RunState& state) const {
  check_step(SafetensorsFile::open(file(kModelFile)), state.step);
  const SafetensorsFile optimizer = SafetensorsFile::open(file(kOptimizerFile));
  check_step(optimizer, state.step);
  models::load_weights(runtime, model, file(kModelFile));
  std::vector<float> values;
  for (const char* moment : {"m.", "v."}) {
    for (const graph::ParameterSpec& spec : model.parameters()) {
      const std::string name = std::string(graph::kOptimizerPrefix) + moment + spec.name;
      const TensorInfo& info = optimizer.info(name);
      if (info.elements != spec.shape.count())
        fail(ErrorCode::kFormat, "{}: tensor \"{}\" has {} numbers, the model needs {}", optimizer.path().string(),
             name, info.elements, spec.shape.count());
      values.resize(static_cast<std::size_t>(spec.shape.count()));
      optimizer.read_f32(name, values);
      runtime.upload(name, values);
    }
  }
}

}  // namespace fabula::train
