// What a row takes from another: the map of its model, the time that it took. Kept as small files, so that neither
// weights nor clocks are needed again.
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/checksum.hpp"
#include "base/fail.hpp"
#include "base/median.hpp"
#include "formats/config_io.hpp"
#include "formats/json_access.hpp"
#include "maps/build_token_map.hpp"
#include "study/compare.hpp"
#include "study/summary.hpp"
#include "train/model_vectors.hpp"
#include "train/trainer.hpp"

namespace fabula::study {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kWarmSteps = 5, kTimedSteps = 20;
constexpr std::size_t kMaxStepsBytes = 64u << 10;

}  // namespace

/// Whose model the cell's map is made from; null where that is not known yet, or no such model has been trained.
const Cell* Comparison::map_source(const Cell& cell) const {
  const MapSource& source = *cell.row->map_of;
  for (const std::string& name : cell.needs)
    if (!results_.contains(name)) return nullptr;
  double rate = source.learning_rate.value_or(kNoNumber);
  if (!source.learning_rate) {
    const auto summary = summarise_row(study_.row(source.row), results_);
    if (!summary || !std::isfinite(summary->perplexity.mean)) return nullptr;
    rate = summary->learning_rate;
  }
  for (const Cell& other : cells_)
    if (other.row->name == source.row && other.learning_rate == rate && other.seed == cell.seed) return &other;
  fail(ErrorCode::kInternal, "no cell of {} at {} with seed {}", source.row, rate, cell.seed);
}

/// By what the map is made from: rows of the same sizes share it.
fs::path Comparison::map_file(const Cell& source, const ModelConfig& config) const {
  return options_.out / "maps" /
         fmt::format("{}_{}_shortlist{}_{}_groups{}x{}.json", source.name, source.digest, config.head.shortlist,
                     group_sizes_name(config.head.group_sizes), config.groups(), config.slots());
}

// The maps of a model that other cells may take, while its weights are there.
void Comparison::make_maps(const Cell& source, const fs::path& model) const {
  std::optional<maps::TokenVectors> vectors;
  for (const Cell& cell : cells_) {
    const auto& map_of = cell.row->map_of;
    if (!map_of || map_of->row != source.row->name || cell.seed != source.seed) continue;
    if (map_of->learning_rate.value_or(source.learning_rate) != source.learning_rate) continue;
    const fs::path file = map_file(source, cell.config.model);
    if (!vectors) vectors = train::model_vectors(model, *data_.train, data_.counts);
    const maps::MapOptions options{.kind = GroupMap::kClustered,
                                   .shortlist = cell.config.model.head.shortlist,
                                   .groups = cell.config.model.groups(),
                                   .slots = cell.config.model.slots(),
                                   .sizes = cell.config.model.head.group_sizes,
                                   .seed = static_cast<std::uint64_t>(cell.seed)};
    ensure_directory(file.parent_path());
    write_token_map(file, maps::clustered_map(options, data_.counts, *vectors), cell.config.model.vocab_size);
  }
}

void Comparison::require_map(const Cell& cell) const {
  const Cell* const found = map_source(cell);
  if (found == nullptr)
    fail(ErrorCode::kInvalidArgument,
         "no learning rate of \"{}\" has trained without diverging, so there is no map of it", cell.row->map_of->row);
  const Cell& source = *found;
  const fs::path file = map_file(source, cell.config.model), weights = weights_folder(source);
  const CellResult& result = results_.at(source.name);
  if (result.has_diverged())
    fail(ErrorCode::kInvalidArgument,
         "map_of: {} has diverged at {}, so there is no map of it; name another learning rate", source.name,
         result.diverged);
  if (fs::exists(file)) return;
  const fs::path digest = weights / digest_file(source).filename();
  if (fs::exists(digest) && read_file(digest, kMaxStepsBytes) == source.digest) return make_maps(source, weights);
  fail(
      ErrorCode::kNotFound,
      "map_of: {} is missing, and so are the weights that it is made from; copy the folder maps along with results, or "
      "move {} away to have it trained again",
      file.string(), result_file(source).string());
}

std::string Comparison::row_digest(const StudyRow& row) const {
  std::string digests;
  for (const Cell& cell : cells_)
    if (cell.row == &row) digests += cell.digest;
  return checksum_text(checksum(digests));
}

std::optional<std::int64_t> Comparison::found_steps(const StudyRow& row) const {
  const fs::path file = steps_file(row);
  if (row.time_of.empty() || !fs::exists(file)) return std::nullopt;
  const nlohmann::json json = parse_json(read_file(file, kMaxStepsBytes), file.string());
  try {
    const auto steps = json.at("steps").get<std::int64_t>();
    if (json.at("digest").get<std::string>() == row_digest(row) && steps > 0) return steps;
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorCode::kFormat, "{}: {}", file.string(), json_message(error.what()));
  }
  fail(ErrorCode::kInvalidArgument, "{}: it is of another study than row \"{}\" of {} is now; move it away",
       file.string(), row.name, study_.file.string());
}

// Steps that the row makes in the time of the other one, found once for all of its cells. False: a stop was asked for.
bool Comparison::find_steps(const Cell& cell) {
  const StudyRow& row = *cell.row;
  if (found_steps(row)) return true;
  const std::string here = tuning::open_tuned_device(options_.device).device->profile().name;
  std::vector<double> times;
  for (const auto& [name, result] : results_) {
    if (result.row != row.time_of || result.has_diverged()) continue;
    times.push_back(result.timings.seconds);
    if (result.device != here)
      fail(ErrorCode::kInvalidArgument,
           "time_of: {} was trained on {}, this is {}; times of two devices do not compare, so run both on one", name,
           result.device, here);
  }
  if (times.empty())
    fail(ErrorCode::kInvalidArgument,
         "time_of: every run of \"{}\" has diverged, so there is no time to train as long as", row.time_of);
  const double wanted = median(times), own = measure_step(cell);
  if (stopping()) return false;
  const auto steps = static_cast<std::int64_t>(wanted / own);
  if (steps < 1)
    fail(ErrorCode::kInvalidArgument, "time_of: a step takes {:.3g} s, \"{}\" trains for {:.3g} s in all", own,
         row.time_of, wanted);
  const nlohmann::ordered_json json{{"steps", steps},          {"time_of", row.time_of}, {"seconds", wanted},
                                    {"seconds_per_step", own}, {"device", here},         {"digest", row_digest(row)}};
  ensure_directory(steps_file(row).parent_path());
  write_file_atomically(steps_file(row), dump_json(json, 2) + "\n");
  return true;
}

// Median seconds of a few steps of the row, in a run that is thrown away.
double Comparison::measure_step(const Cell& cell) {
  std::vector<std::string> settings = overrides(cell);
  // At a learning rate that nothing diverges at; no time depends on it.
  for (const char* setting :
       {"train.eval_every=0", "train.sample_every=0", "train.save_every=0", "train.learning_rate=1e-6"})
    settings.emplace_back(setting);
  settings.push_back(fmt::format("train.steps={}", kWarmSteps + kTimedSteps));
  RunConfig config = load_config(study_.config, settings, ConfigNotes::kSilent);
  train::settle_vocabulary(config, *data_.tokenizer);
  const fs::path path = options_.out / "runs" / ("." + cell.row->name + ".timed");
  fs::remove_all(path);
  std::vector<double> seconds;
  {
    const tuning::OpenedDevice opened = tuning::open_tuned_device(options_.device);
    train::RunFolder folder(path);
    const train::DataSet data = train::open_data(data_options(config), config, path);
    train::TrainOptions options;
    options.choices = opened.choices;
    options.stop_requested = stop_requested_;
    train::Trainer(*opened.device, config, data, folder, options).run();
    opened.device->save_pipeline_cache();
    for (const MetricsRecord& record : read_metrics(path / "metrics.jsonl"))
      if (record.kind == kTrainRecord && record.step > kWarmSteps)
        seconds.push_back(static_cast<double>(config.tokens_per_step()) / record.values.at("tokens_per_second"));
  }
  fs::remove_all(path);
  return seconds.empty() ? kNoNumber : median(seconds);
}

}  // namespace fabula::study
