#pragma once
#include <filesystem>
#include <string>

#include "base/file_io.hpp"
#include "formats/model_config.hpp"
#include "formats/run_state.hpp"
#include "graph/runtime.hpp"
#include "models/language_model.hpp"
#include "text/tokenizer.hpp"

namespace fabula::train {

/// A run on disk: config.json, model.safetensors and tokenizer.json as Hugging Face lays them out, with
/// optimizer.safetensors, state.json, metrics.jsonl and report.html beside them. One process writes it at a time.
class RunFolder {
 public:
  /// Creates the folder, takes its lock and finishes a save that was cut short. Throws kInvalidArgument when another
  /// process trains in it, and when a name that a run writes is a link that leads out of it; kIo.
  explicit RunFolder(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(std::string_view name) const { return path_ / name; }
  bool has_state() const;
  /// Throws kInvalidArgument where training would destroy something: a run, unless it `may_continue`, or a model that
  /// is no run.
  void check_usable(bool may_continue) const;
  RunState read_state() const;

  /// Replaces the checkpoint as one step: a crash at any moment leaves the previous one whole. Throws kIo (a full disk,
  /// say) with the previous one untouched.
  void save(graph::Runtime& runtime, const models::LanguageModel& model, const RunConfig& config,
            const text::Tokenizer& tokenizer, const RunState& state);
  /// Weights and optimizer state onto the device. Throws kFormat when the files do not belong to the same step.
  void load(graph::Runtime& runtime, const models::LanguageModel& model, const RunState& state) const;

 private:
  std::filesystem::path path_;
  FileLock lock_;
};

}  // namespace fabula::train
