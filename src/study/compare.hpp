#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file_io.hpp"
#include "study/cell_result.hpp"
#include "study/cells.hpp"
#include "study/study_file.hpp"
#include "train/data_set.hpp"
#include "tuning/tuned_device.hpp"
#include "vk/device.hpp"

namespace fabula::study {

struct CompareOptions {
  std::filesystem::path study, data, out;  ///< data: see read_study
  std::vector<std::string> rows;           ///< only these, and what they need; empty: all
  bool keep_weights = false;               ///< of finished cells, in OUT/weights
  std::string program;                     ///< name, version and commit, for the results
  vk::DeviceOptions device;
};

struct CompareOutcome {
  std::size_t cells = 0, finished = 0;  ///< of those asked for
  bool stopped = false;
};

/// A study in a folder of its own: OUT/results/CELL.json of what is finished, OUT/runs/CELL of the run that goes on,
/// OUT/maps and OUT/steps of what a row takes from another. One process at a time.
class Comparison {
 public:
  /// Reads and checks all of it: the study, every row's config, the data, what is finished; makes the folder, if need
  /// be, and locks it. Nothing is run. Errors name the row; kInvalidArgument for a result of another config or data,
  /// and for a folder whose tables would take the place of what is read.
  explicit Comparison(CompareOptions options);

  const Study& study() const { return study_; }
  /// The cells asked for, in the order that they run in.
  const std::vector<const Cell*>& selected() const { return selected_; }
  bool is_finished(const Cell& cell) const { return results_.contains(cell.name); }
  /// All overrides of the cell's run, as far as they are known now: a map of another row's model, and steps that fit
  /// its time, are when that row is finished.
  std::vector<std::string> overrides(const Cell& cell) const;
  /// The row that must have trained before the cell's overrides are known; empty: they are.
  std::string waits_for(const Cell& cell) const;
  std::filesystem::path run_folder(const Cell& cell) const { return options_.out / "runs" / cell.name; }

  /// Plans every row that is not finished on the device. Throws kOutOfMemory or what else keeps it from training,
  /// naming the row.
  void check_rows() const;
  /// Trains and evaluates what is not finished, cell by cell, and writes the tables after each. `stop_requested` is
  /// asked after every step; then the run under way is saved.
  CompareOutcome run(const std::function<bool()>& stop_requested);
  /// Writes OUT/study.md, .csv, .json and .html of what is finished.
  void write_tables() const;

 private:
  enum class Progress { kFinished, kStopped };

  void read_results();
  /// Cell::digest of the run that is under way, beside its own files.
  std::filesystem::path digest_file(const Cell& cell) const { return run_folder(cell) / "cell.digest"; }
  std::filesystem::path result_file(const Cell& cell) const { return options_.out / "results" / (cell.name + ".json"); }
  std::filesystem::path weights_folder(const Cell& cell) const { return options_.out / "weights" / cell.name; }
  void put_away(const Cell& cell);
  Progress run_cell(const Cell& cell);
  Progress train_and_evaluate(const Cell& cell, CellResult& result);
  bool evaluate(const Cell& cell, const tuning::OpenedDevice& opened, CellResult& result) const;
  void note_training(const Cell& cell, const std::filesystem::path& run, CellResult& result) const;
  train::DataOptions data_options(const RunConfig& config);
  void settle_cell(const Cell& cell, const CellResult& result);

  const Cell* map_source(const Cell& cell) const;
  void require_map(const Cell& cell) const;
  std::filesystem::path map_file(const Cell& source, const ModelConfig& config) const;
  void make_maps(const Cell& source, const std::filesystem::path& model) const;
  std::filesystem::path steps_file(const StudyRow& row) const { return options_.out / "steps" / (row.name + ".json"); }
  std::string row_digest(const StudyRow& row) const;
  std::optional<std::int64_t> found_steps(const StudyRow& row) const;
  bool find_steps(const Cell& cell);
  double measure_step(const Cell& cell);
  bool stopping() const { return stop_requested_ && stop_requested_(); }

  CompareOptions options_;
  Study study_;
  StudyData data_;
  std::vector<Cell> cells_;
  std::vector<const Cell*> selected_;
  std::optional<FileLock> lock_;
  std::map<std::string, CellResult> results_;  ///< by cell
  std::map<std::string, TokenMap> maps_;       ///< made in this process, by what they were made from
  std::function<bool()> stop_requested_;
};

}  // namespace fabula::study
