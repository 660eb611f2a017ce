#pragma once
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file_io.hpp"
#include "formats/run_config.hpp"
#include "formats/run_state.hpp"
#include "graph/runtime.hpp"
#include "models/language_model.hpp"
#include "text/tokenizer.hpp"

namespace fabula::train {

/// Folders of a run that hold whole checkpoints as the run's own folder does. The first: the last one known to be good,
/// while that of the run is not (CheckpointKeeper). The second: what was the run's when it went back to the first.
inline constexpr const char* kLastGoodFolder = "last_good";
inline constexpr const char* kSetAsideFolder = "set_aside";

/// A run on disk: config.json, model.safetensors and tokenizer.json as Hugging Face lays them out, with
/// optimizer.safetensors, state.json, metrics.jsonl and report.html beside them. One process writes it at a time.
class RunFolder {
 public:
  /// Creates the folder, takes its lock, finishes a save that was cut short and removes what killed processes left of
  /// files that they wrote. Throws kInvalidArgument when another process trains in it, and when a name that a run
  /// writes is a link that leads out of it; kIo.
  explicit RunFolder(std::filesystem::path path);
  /// One that another process writes: it is read, not locked and not changed.
  struct OfAnother {};
  RunFolder(std::filesystem::path path, OfAnother);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(std::string_view name) const { return path_ / name; }
  bool has_state() const;
  /// Throws kInvalidArgument where training would destroy something: a run, unless it `may_continue`, or a model that
  /// is no run.
  void check_usable(bool may_continue) const;
  RunState read_state() const;
  /// Names of the checkpoint's files; empty where there is none.
  std::vector<std::string> checkpoint_files() const;

  /// Replaces the checkpoint as one step: a crash at any moment leaves the previous one whole. Adds the checksums of
  /// its files to the state. Throws with the previous one untouched: kIo (a full disk, say); kNumeric where a weight or
  /// a moment is not finite.
  void save(graph::Runtime& runtime, const models::LanguageModel& model, const RunConfig& config,
            const text::Tokenizer& tokenizer, RunState state);
  /// Weights and optimizer state onto the device. Throws kFormat when the files do not belong to the same step, hold a
  /// number that cannot be right, or differ from their checksums. `hyper`: adamw_hyper of the next step.
  void load(graph::Runtime& runtime, const models::LanguageModel& model, const RunState& state,
            const std::array<float, 8>& hyper) const;

  /// Keeps the checkpoint in kLastGoodFolder too, in the place of what is there; and removes that. Throws kIo.
  void keep_as_last_good();
  void drop_last_good();
  /// State of what is kept there.
  std::optional<RunState> last_good() const;
  /// Makes that checkpoint the run's, and puts the run's into kSetAsideFolder. Crash-safe as save(). Throws
  /// kInvalidArgument where there is none, kIo.
  void go_back();

 private:
  std::filesystem::path path_;
  std::optional<FileLock> lock_;  ///< absent: the folder is another's
};

/// A file of a checkpoint and whether its bytes are those that were saved.
struct FileCheck {
  std::string name;
  bool same = false;
};
/// The files that the state of a run, or of a checkpoint kept in it, tells the checksums of. Throws kInvalidArgument
/// where it tells none, kNotFound without a state.json, kFormat, kIo.
std::vector<FileCheck> check_files(const std::filesystem::path& folder);

}  // namespace fabula::train
