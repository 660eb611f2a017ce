#include "train/run_folder.hpp"

#include <algorithm>

#include "base/atomic_file.hpp"
#include "base/checksum.hpp"
#include "base/fail.hpp"
#include "base/folder_update.hpp"
#include "base/kept_files.hpp"
#include "formats/config_io.hpp"
#include "formats/match_tensors.hpp"
#include "formats/model_tensors.hpp"
#include "formats/token_map.hpp"
#include "graph/workload.hpp"
#include "infer/write_folder.hpp"
#include "models/weights.hpp"
#include "text/tokenizer_files.hpp"
#include "train/number_check.hpp"

namespace fabula::train {
namespace {

namespace fs = std::filesystem;
constexpr const char* kModelFile = kWeightsFile;
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kStateFile = "state.json";
constexpr const char* kStepKey = kWeightsStepKey;
// Read as they are when a run goes on, for users may edit them; the others must be what was saved.
constexpr std::string_view kEditableFiles[] = {"config.json",        "generation_config.json",
                                               "tokenizer.json",     "tokenizer_config.json",
                                               infer::kModelingFile, infer::kConfigurationFile};
/// What a run writes, moves or empties beside the two folders of FolderUpdate and the lock.
constexpr std::string_view kWritten[] = {kModelFile,
                                         kOptimizerFile,
                                         kStateFile,
                                         "config.json",
                                         "generation_config.json",
                                         "tokenizer.json",
                                         "tokenizer_config.json",
                                         infer::kModelingFile,
                                         infer::kConfigurationFile,
                                         kTokenMapFile,
                                         "metrics.jsonl",
                                         "report.html",
                                         "data",
                                         kLastGoodFolder,
                                         kSetAsideFolder};

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

void read_moment(const SafetensorsFile& file, const std::string& name, const graph::ParameterSpec& spec,
                 std::vector<float>& values) {
  const TensorInfo& info = file.info(name);
  if (info.elements != spec.shape.count())
    fail(ErrorCode::kFormat, "{}: tensor \"{}\" has {} numbers, the model needs {}", file.path().string(), name,
         info.elements, spec.shape.count());
  values.resize(static_cast<std::size_t>(spec.shape.count()));
  file.read_f32(name, values);
}

/// The files of a checkpoint: its state tells them; that of an older program does not.
std::vector<std::string> files_of(const fs::path& folder, const RunState& state) {
  std::vector<std::string> names{kStateFile};
  for (const auto& [name, sum] : state.checksums) names.push_back(name);
  if (!state.checksums.empty()) return names;
  for (const char* name : {kModelFile, kOptimizerFile, "config.json", "tokenizer.json", kTokenMapFile})
    if (fs::exists(folder / name)) names.emplace_back(name);
  return names;
}

std::vector<FileCheck> compare_checksums(const fs::path& folder, const RunState& state) {
  std::vector<FileCheck> result;
  for (const auto& [name, sum] : state.checksums) {
    const fs::path path = FolderUpdate::current(folder, name);
    result.push_back({name, fs::exists(path) && checksum_text(file_checksum(path)) == sum});
  }
  return result;
}

}  // namespace

RunFolder::RunFolder(fs::path path, OfAnother) : path_(std::move(path)) {}

RunFolder::RunFolder(fs::path path) : path_(std::move(path)) {
  lock_.emplace(locked(path_), path_.string());
  for (const std::string_view name : kWritten) check_no_link_out(path_, name);
  FolderUpdate::recover(path_);
  remove_litter(path_);
  for (const char* name : {kLastGoodFolder, kSetAsideFolder}) discard_unfinished(path_ / name);
  if (const fs::path data = path_ / "data"; fs::is_directory(fs::symlink_status(data))) remove_litter(data);
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
  if (fs::exists(file(kLastGoodFolder)))
    fail(ErrorCode::kInvalidArgument, "{} holds a checkpoint in {} and no {}: choose another folder, or move it away",
         path_.string(), kLastGoodFolder, kStateFile);
  if (const std::string weights = any_weights_in(path_); !weights.empty())
    fail(ErrorCode::kInvalidArgument,
         "{0} holds a {1} and no {2}: training would overwrite the model; choose another folder (--from {0} starts "
         "from its weights)",
         path_.string(), weights, kStateFile);
}

RunState RunFolder::read_state() const {
  return read_run_state(file(kStateFile));
}

std::vector<std::string> RunFolder::checkpoint_files() const {
  return has_state() ? files_of(path_, read_state()) : std::vector<std::string>();
}

void RunFolder::save(graph::Runtime& runtime, const models::LanguageModel& model, const RunConfig& config,
                     const text::Tokenizer& tokenizer, RunState state) {
  ensure(lock_.has_value(), "{} is another process's run", path_.string());
  FolderUpdate update(path_);
  std::map<std::string, std::string> metadata{{kStepKey, std::to_string(state.step)}};
  if (const TokenMap* map = model.head().token_map(); map != nullptr && map->step > 0)
    metadata[kMapStepKey] = std::to_string(map->step);
  const std::vector<graph::ParameterSpec> trained = model.trained_parameters();
  std::vector<TensorSource> weights, optimizer;
  for (TensorSource& source : models::tensors_to_save(runtime, model.parameters()))
    weights.push_back(checked(std::move(source), Numbers::kFinite));
  for (const auto& [moment, allowed] : {std::pair("m.", Numbers::kFinite), {"v.", Numbers::kFiniteNotNegative}})
    for (TensorSource& source :
         models::tensors_to_save(runtime, trained, std::string(graph::kOptimizerPrefix) + moment))
      optimizer.push_back(checked(std::move(source), allowed));
  auto sums = infer::write_model_folder(
      update,
      {.config = config, .model = model, .tokenizer = tokenizer, .weights = std::move(weights), .metadata = metadata});
  metadata["format"] = "pt";
  sums[kOptimizerFile] = write_safetensors(update.path_of(kOptimizerFile), optimizer, metadata);
  state.checksums.clear();
  for (const auto& [name, sum] : sums) state.checksums[name] = checksum_text(sum);
  write_run_state(update.path_of(kStateFile), state);
  update.commit();
}

void RunFolder::load(graph::Runtime& runtime, const models::LanguageModel& model, const RunState& state,
                     const std::array<float, 8>& hyper) const {
  const SafetensorsFile weights = SafetensorsFile::open(file(kModelFile));
  check_step(weights, state.step);
  const SafetensorsFile optimizer = SafetensorsFile::open(file(kOptimizerFile));
  check_step(optimizer, state.step);
  check_finite(weights);
  models::load_weights(runtime, model, ModelTensors(SafetensorsFile::open(file(kModelFile))));
  const std::string prefix(graph::kOptimizerPrefix);
  std::vector<float> m, v;
  for (const graph::ParameterSpec& spec : model.trained_parameters()) {
    const std::string m_name = prefix + "m." + spec.name, v_name = prefix + "v." + spec.name;
    read_moment(optimizer, m_name, spec, m);
    read_moment(optimizer, v_name, spec, v);
    refuse_if(wrong_number(m, Numbers::kFinite), optimizer, m_name);
    refuse_if(wrong_number(v, Numbers::kFiniteNotNegative), optimizer, v_name);
    refuse_if(wrong_moments(m, v, hyper), optimizer, m_name);
    runtime.upload(m_name, m);
    runtime.upload(v_name, v);
  }
  // Last, because what is wrong above is named more closely.
  for (const FileCheck& check : compare_checksums(path_, state))
    if (!check.same &&
        std::find(std::begin(kEditableFiles), std::end(kEditableFiles), check.name) == std::end(kEditableFiles))
      fail(ErrorCode::kFormat,
           "{}: its bytes are not those that were saved, by the checksum in {}; restore the folder from a copy, or "
           "start anew in another",
           file(check.name).string(), kStateFile);
}

void RunFolder::keep_as_last_good() {
  keep_files(path_, files_of(path_, read_state()), file(kLastGoodFolder));
}

void RunFolder::drop_last_good() {
  discard_kept(file(kLastGoodFolder));
}

std::optional<RunState> RunFolder::last_good() const {
  const fs::path kept = file(kLastGoodFolder) / kStateFile;
  return fs::exists(kept) ? std::optional(read_run_state(kept)) : std::nullopt;
}

// A crash before the commit leaves the run's checkpoint in two places, one behind it the last good one: either way the
// run goes on from a whole one.
void RunFolder::go_back() {
  const std::optional<RunState> kept = last_good();
  if (!kept)
    fail(ErrorCode::kInvalidArgument,
         "{} holds no {}: there is no checkpoint to go back to; the run's own is the last good one", path_.string(),
         kLastGoodFolder);
  const fs::path from = file(kLastGoodFolder);
  keep_files(path_, files_of(path_, read_state()), file(kSetAsideFolder));
  FolderUpdate update(path_);
  for (const std::string& name : files_of(from, *kept)) {
    std::error_code code;
    // A rename between two links of one file would do nothing.
    if (!fs::equivalent(from / name, file(name), code)) link_or_copy(from / name, update.path_of(name));
  }
  update.commit();
  drop_last_good();
}

std::vector<FileCheck> check_files(const fs::path& folder) {
  const RunState state = read_run_state(FolderUpdate::current(folder, kStateFile));
  if (state.checksums.empty())
    fail(ErrorCode::kInvalidArgument,
         "{} holds no checksums: an older fabula has written it; the next checkpoint of the run has them",
         (folder / kStateFile).string());
  return compare_checksums(folder, state);
}

}  // namespace fabula::train
