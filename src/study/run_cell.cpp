// How a cell is trained and evaluated.
#include <algorithm>
#include <cmath>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/median.hpp"
#include "eval/frequency_eval.hpp"
#include "formats/config_io.hpp"
#include "heads/token_groups.hpp"
#include "study/compare.hpp"
#include "study/quiet_log.hpp"
#include "train/head_data.hpp"
#include "train/trainer.hpp"

namespace fabula::study {
namespace {

namespace fs = std::filesystem;

/// "step 13: the loss is not finite" of what a trainer says of a run that diverged.
std::string first_clause(const std::string& message) {
  return message.substr(0, message.find(';'));
}

/// A setting that names a file of the study's folder, as it is there.
std::string within(const fs::path& out, std::string setting) {
  const std::string folder = out.string() + "/";
  if (const std::size_t at = setting.find("=" + folder); at != std::string::npos) setting.erase(at + 1, folder.size());
  return setting;
}

}  // namespace

train::DataOptions Comparison::data_options(const RunConfig& config) {
  train::DataOptions options;
  options.data = study_.train;
  options.valid = study_.valid;
  options.tokenizer = study_.tokenizer;
  // Making a map takes longer than some runs, and those of a row with the same seed have the same.
  const HeadConfig& head = config.model.head;
  if (head.kind != HeadKind::kGrouped || head.map == GroupMap::kFile || !heads::needs_map(head)) return options;
  const std::string key = fmt::format("{} {} {} {} {} {}", group_map_name(head.map), group_sizes_name(head.group_sizes),
                                      head.shortlist, config.model.groups(), config.model.slots(), config.train.seed);
  auto found = maps_.find(key);
  if (found == maps_.end())
    found =
        maps_.emplace(key, train::make_token_map(config.model, *data_.train, data_.counts, config.train.seed)).first;
  options.map = &found->second;
  return options;
}

Comparison::Progress Comparison::run_cell(const Cell& cell) {
  const QuietLog quiet(cell.name);
  CellResult result;
  result.cell = cell.name;
  result.row = cell.row->name;
  result.learning_rate = cell.learning_rate;
  result.seed = cell.seed;
  result.digest = cell.digest;
  result.config = config_json(cell.config);
  result.program = options_.program;
  try {
    if (cell.row->map_of) require_map(cell);
    if (!cell.row->time_of.empty() && !find_steps(cell)) return Progress::kStopped;
  } catch (const Error& error) {
    fail(error.code(), "{}: {}", cell.name, error.what());
  }
  try {
    if (train_and_evaluate(cell, result) == Progress::kStopped) return Progress::kStopped;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNumeric) fail(error.code(), "{}: {}", cell.name, error.what());
    result.diverged = first_clause(error.what());
  }
  settle_cell(cell, result);
  return Progress::kFinished;
}

Comparison::Progress Comparison::train_and_evaluate(const Cell& cell, CellResult& result) {
  const std::vector<std::string> settings = overrides(cell);
  RunConfig config = load_config(study_.config, settings, ConfigNotes::kSilent);
  for (const std::string& setting : settings) result.overrides.push_back(within(options_.out, setting));
  const tuning::OpenedDevice opened = tuning::open_tuned_device(options_.device);
  result.device = opened.device->profile().name;
  result.driver = opened.device->info().driver;
  {
    train::RunFolder folder(run_folder(cell));
    folder.check_usable(true);
    write_file_atomically(digest_file(cell), cell.digest);
    train::settle_vocabulary(config, *data_.tokenizer);
    const train::DataSet data = train::open_data(data_options(config), config, folder.path());
    train::TrainOptions options;
    options.resume = train::Resume::kAuto;
    options.choices = opened.choices;
    options.stop_requested = stop_requested_;
    train::Trainer trainer(*opened.device, config, data, folder, options);
    opened.device->save_pipeline_cache();
    result.peak_bytes =
        opened.device->allocated();  // all but what a save is copied through, which a resumed run may lack
    const train::TrainOutcome outcome = trainer.run();
    if (outcome.interrupted) return Progress::kStopped;
    result.steps = outcome.steps;
    result.tokens = folder.read_state().tokens_seen;
  }
  note_training(cell, run_folder(cell), result);
  if (!evaluate(cell, opened, result)) return Progress::kStopped;
  make_maps(cell, run_folder(cell));
  return Progress::kFinished;
}

void Comparison::note_training(const Cell& cell, const fs::path& run, CellResult& result) const {
  const auto step_tokens = static_cast<double>(cell.config.tokens_per_step());
  std::vector<double> seconds;
  for (const MetricsRecord& record : read_metrics(run / "metrics.jsonl")) {
    if (record.kind == kTrainRecord) seconds.push_back(step_tokens / record.values.at("tokens_per_second"));
    if (record.kind == kEvalRecord) result.curve.push_back({record.step, record.values.at("loss"), 0});
  }
  CellTimings& timings = result.timings;
  timings.seconds_per_step = median(seconds);
  timings.tokens_per_second = step_tokens / timings.seconds_per_step;
  const auto time_of = [&](std::int64_t steps) { return static_cast<double>(steps) * timings.seconds_per_step; };
  timings.seconds = time_of(result.steps);
  for (CurvePoint& point : result.curve) point.seconds = time_of(point.step);
}

// False: a stop was asked for.
bool Comparison::evaluate(const Cell& cell, const tuning::OpenedDevice& opened, CellResult& result) const {
  const infer::ModelFolder folder(run_folder(cell));
  const models::LanguageModel& model = folder.model();
  const std::int64_t B = cell.config.train.batch_size;
  const std::int64_t T = std::min(cell.config.sequence_length(), static_cast<std::int64_t>(data_.valid->size()) - 1);
  const text::BatchSource source(*data_.valid, static_cast<std::uint32_t>(B), static_cast<std::uint32_t>(T), 0,
                                 text::BatchSource::Order::kSequential);
  bool stopped = false;
  const eval::FrequencyEvaluation evaluation = eval::evaluate_by_frequency(
      *opened.device, {opened.device->profile(), opened.choices}, folder, source, B, T, data_.counts, 0,
      [&](std::uint64_t, std::uint64_t) { return !(stopped = stopping()); });
  opened.device->save_pipeline_cache();
  if (stopped) return false;
  const eval::LabelSums& total = evaluation.table.total();
  result.positions = total.labels;
  result.loss = total.mean(&eval::LabelSums::loss);
  result.token_accuracy = total.mean(&eval::LabelSums::token_correct);
  if (evaluation.has_groups) {
    result.group_accuracy = total.mean(&eval::LabelSums::group_correct);
    result.token_in_group_accuracy = total.mean(&eval::LabelSums::slot_correct);
  }
  for (const eval::FrequencyBand& band : evaluation.table.bands())
    result.bands.push_back({band.name(), band.tokens, band.sums.labels, band.sums.mean(&eval::LabelSums::loss),
                            band.sums.mean(&eval::LabelSums::token_correct),
                            evaluation.has_groups ? band.sums.mean(&eval::LabelSums::group_correct) : kNoNumber});
  result.head = model.head().describe();
  result.parameters = model.parameter_count();
  result.head_parameters = model.head().parameters().count();
  result.logits = model.head().mean_logits().value_or(kNoNumber);
  result.most_logits = model.head().logits();
  return true;
}

}  // namespace fabula::study
