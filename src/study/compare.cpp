#include "study/compare.hpp"

#include <algorithm>
#include <chrono>
#include <set>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "formats/config_io.hpp"
#include "formats/svg_chart.hpp"
#include "study/study_tables.hpp"
#include "train/fit.hpp"
#include "train/head_data.hpp"

namespace fabula::study {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxDigestBytes = 1024;

/// What has changed since a result was made, as far as its config tells.
std::string what_differs(const CellResult& result, const Cell& cell, const std::string& source) {
  const RunConfig then = parse_config(result.config, source, {}, ConfigNotes::kSilent);
  const std::string differences = config_differences(then, cell.config);
  return differences.empty() ? "the data, a map or a row that it needs are others" : differences;
}

std::string duration_text(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", seconds);
  const auto minutes = static_cast<std::int64_t>(seconds / 60 + 0.5);
  return minutes >= 60 ? fmt::format("{} h {} min", minutes / 60, minutes % 60) : fmt::format("{} min", minutes);
}

std::string outcome_text(const CellResult& result) {
  if (result.has_diverged()) return "diverged at " + result.diverged;
  return fmt::format("perplexity {:.4g} ({:.1f} s, {} tokens/s)", result.perplexity(), result.timings.seconds,
                     short_number(result.timings.tokens_per_second));
}

}  // namespace

Comparison::Comparison(CompareOptions options)
    : options_(std::move(options)),
      study_(read_study(options_.study, options_.data)),
      data_(study_),
      cells_(plan_cells(study_, data_)),
      selected_(select_cells(study_, cells_, options_.rows)) {
  ensure_directory(options_.out);
  const fs::path inputs[] = {study_.file, study_.config, study_.train, study_.valid, study_.tokenizer};
  for (const char* name : kTableFiles) checked_target(options_.out / name, inputs);
  lock_.emplace(options_.out / ".lock", "study folder " + options_.out.string());
  read_results();
}

// Nothing that is there may be of other settings than the study's now: a table would not be of one study.
void Comparison::read_results() {
  const fs::path folder = options_.out / "results";
  if (fs::exists(folder)) remove_litter(folder);
  for (const Cell& cell : cells_) {
    const fs::path file = result_file(cell);
    const auto refuse = [&](const fs::path& path, const std::string& differences) {
      fail(ErrorCode::kInvalidArgument,
           "{}: it is of another study than row \"{}\" of {} is now ({}); move it away to have the row trained again, "
           "or "
           "name another folder with --out",
           path.string(), cell.row->name, study_.file.string(), differences);
    };
    if (fs::exists(file)) {
      CellResult result = read_cell_result(file);
      const bool is_its_own = result.cell == cell.name && result.row == cell.row->name &&
                              result.learning_rate == cell.learning_rate && result.seed == cell.seed;
      if (result.digest != cell.digest || !is_its_own) refuse(file, what_differs(result, cell, file.string()));
      const auto& bands = results_.empty() ? result.bands : results_.begin()->second.bands;
      if (!result.bands.empty() && !bands.empty() && result.bands.size() != bands.size())
        fail(ErrorCode::kFormat, "{}: {} bands by frequency, others have {}", file.string(), result.bands.size(),
             bands.size());
      results_.emplace(cell.name, std::move(result));
    } else if (fs::exists(digest_file(cell)) && read_file(digest_file(cell), kMaxDigestBytes) != cell.digest) {
      refuse(run_folder(cell), "its config, the data or a row that it needs");
    }
  }
}

std::vector<std::string> Comparison::overrides(const Cell& cell) const {
  std::vector<std::string> result = cell.overrides;
  const auto replace = [&](const std::string& key, const std::string& value) {
    std::erase_if(result, [&](const std::string& text) { return text.starts_with(key + "="); });
    result.push_back(key + "=" + value);
  };
  if (const Cell* source = cell.row->map_of ? map_source(cell) : nullptr) {
    replace("head.map", "file");
    // A file has its own sizes.
    if (cell.config.model.head.group_sizes != GroupSizes::kEqual) replace("head.group_sizes", "equal");
    replace("head.map_file", map_file(*source, cell.config.model).string());
  }
  if (const auto steps = found_steps(*cell.row)) replace("train.steps", std::to_string(*steps));
  return result;
}

std::string Comparison::waits_for(const Cell& cell) const {
  if (cell.row->map_of && map_source(cell) == nullptr) return cell.row->map_of->row;
  if (!cell.row->time_of.empty() && !found_steps(*cell.row)) return cell.row->time_of;
  return {};
}

void Comparison::check_rows() const {
  std::set<std::string> checked;
  std::optional<tuning::OpenedDevice> opened;
  for (const Cell* cell : selected_) {
    if (is_finished(*cell) || !checked.insert(cell->row->name).second) continue;
    if (!opened) opened.emplace(tuning::open_tuned_device(options_.device));
    const bool has_trained_here = std::any_of(results_.begin(), results_.end(), [&](const auto& entry) {
      return entry.second.row == cell->row->name && entry.second.device == opened->device->profile().name;
    });
    if (has_trained_here) continue;
    try {
      RunConfig config = cell->config;
      heads::HeadData head;
      head.map = train::adopt_map_file(config);
      const models::LanguageModel model(config.model, head, config.train.precision);
      const graph::Target target{opened->device->profile(), opened->choices};
      train::plan_to_fit(opened->device->info(), target, model, config.train);
    } catch (const Error& error) {
      fail(error.code(), "{}: row \"{}\": {}", study_.file.string(), cell->row->name, error.what());
    }
  }
}

void Comparison::settle_cell(const Cell& cell, const CellResult& result) {
  ensure_directory(options_.out / "results");
  write_cell_result(result_file(cell), result);
  results_.emplace(cell.name, result);
  put_away(cell);
}

// The run of a finished cell, where it is still there.
void Comparison::put_away(const Cell& cell) {
  const fs::path run = run_folder(cell), kept = weights_folder(cell);
  if (options_.keep_weights && fs::exists(run)) {
    ensure_directory(kept.parent_path());
    fs::remove_all(kept);
    fs::rename(run, kept);
  }
  fs::remove_all(run);
}

CompareOutcome Comparison::run(const std::function<bool()>& stop_requested) {
  using Clock = std::chrono::steady_clock;
  stop_requested_ = stop_requested;
  CompareOutcome outcome{.cells = selected_.size()};
  for (const Cell* cell : selected_) {
    if (!is_finished(*cell)) continue;
    ++outcome.finished;
    put_away(*cell);  // of a process that was killed before it did
  }
  write_tables();
  const std::size_t before = outcome.finished;
  const auto start = Clock::now();
  for (std::size_t i = 0; i < selected_.size(); ++i) {
    const Cell& cell = *selected_[i];
    if (is_finished(cell)) continue;
    outcome.stopped = stopping() || run_cell(cell) == Progress::kStopped;
    if (outcome.stopped) break;
    ++outcome.finished;
    write_tables();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const std::size_t left = outcome.cells - outcome.finished;
    const std::string eta = left == 0
                                ? ""
                                : ", ETA " + duration_text(seconds / static_cast<double>(outcome.finished - before) *
                                                           static_cast<double>(left));
    info("[{}/{}] {} lr {} seed {}: {}{}", outcome.finished, outcome.cells, cell.row->name, cell.learning_rate,
         cell.seed, outcome_text(results_.at(cell.name)), eta);
  }
  return outcome;
}

void Comparison::write_tables() const {
  write_study_tables(options_.out, study_, cells_, results_);
}

}  // namespace fabula::study
