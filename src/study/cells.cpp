#include "study/cells.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "base/checksum.hpp"
#include "base/fail.hpp"
#include "formats/config_io.hpp"
#include "maps/token_counts.hpp"
#include "models/body.hpp"
#include "text/batches.hpp"
#include "text/tokenizer_files.hpp"
#include "train/data_set.hpp"

namespace fabula::study {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<text::TokenFile> open_tokens(const Study& study, const fs::path& path,
                                             const text::Tokenizer& tokenizer) {
  if (!text::is_token_file(path))
    fail(ErrorCode::kInvalidArgument,
         "{}: {} is no token file; make one with fabula data prepare, so that all rows read the same tokens",
         study.file.string(), path.string());
  auto file = std::make_unique<text::TokenFile>(path);
  file->check_tokenizer(tokenizer);
  return file;
}

/// Plans the cells of a study one by one.
class CellPlanner {
 public:
  CellPlanner(const Study& study, const StudyData& data) : study_(study), data_(data) {}

  std::vector<Cell> plan() {
    for (const StudyRow* row : run_order(study_)) try {
        add_row(*row);
      } catch (const Error& error) {
        fail(error.code(), "{}: row \"{}\": {}", study_.file.string(), row->name, error.what());
      }
    return std::move(cells_);
  }

 private:
  void add_row(const StudyRow& row) {
    std::vector<std::string> base = row.overrides;
    if (row.map_of) base.push_back("head.map=clustered");  // the sizes are the same
    const RunConfig own = load_config(study_.config, base);
    if (row.map_of && own.model.head.kind != HeadKind::kGrouped)
      fail(ErrorCode::kInvalidArgument, "map_of is for a grouped head; head.kind is {}",
           head_kind_name(own.model.head.kind));
    if (!row.time_of.empty() && !own.model.head.remap.empty())
      fail(ErrorCode::kInvalidArgument,
           "time_of finds the steps while the study runs, head.remap needs them before; state train.steps instead");
    const std::vector<double> rates =
        row.learning_rates.empty() ? std::vector{own.train.learning_rate} : row.learning_rates;
    const std::vector<std::int64_t> seeds = row.seeds.empty() ? std::vector{own.train.seed} : row.seeds;
    std::vector<Cell>& of_row = by_row_[row.name];
    for (const double rate : rates)
      for (const std::int64_t seed : seeds) of_row.push_back(make_cell(row, base, rate, seed));
    cells_.insert(cells_.end(), of_row.begin(), of_row.end());
  }

  Cell make_cell(const StudyRow& row, const std::vector<std::string>& base, double rate, std::int64_t seed) const {
    Cell cell;
    cell.row = &row;
    cell.learning_rate = rate;
    cell.seed = seed;
    cell.name = cell_name(row, rate, seed);
    cell.overrides = base;
    cell.overrides.push_back(fmt::format("train.learning_rate={}", rate));
    cell.overrides.push_back(fmt::format("train.seed={}", seed));
    cell.config = load_config(study_.config, cell.overrides, ConfigNotes::kSilent);
    train::settle_vocabulary(cell.config, *data_.tokenizer);
    models::check_supported(cell.config.model, cell.config.sequence_length(), true);
    const auto B = static_cast<std::uint32_t>(cell.config.train.batch_size);
    const auto T = static_cast<std::uint32_t>(cell.config.sequence_length());
    const text::BatchSource train(*data_.train, B, T, 0),
        valid(*data_.valid, B, T, 0, text::BatchSource::Order::kSequential);
    cell.digest = digest(cell);
    return cell;
  }

  /// Also fills in what the cell needs.
  std::string digest(Cell& cell) const {
    const StudyRow& row = *cell.row;
    const HeadConfig& head = cell.config.model.head;
    std::string text = config_json(cell.config) + data_.checksums;
    if (head.kind == HeadKind::kGrouped && head.map == GroupMap::kFile)
      text += checksum_text(file_checksum(head.map_file));
    const auto need = [&](const std::string& what, const std::string& name, const auto& is_needed) {
      text += what;
      bool found = false;
      for (const Cell& other : by_row_.at(name)) {
        if (!is_needed(other)) continue;
        found = true;
        text += other.digest;
        cell.needs.push_back(other.name);
      }
      if (!found)
        fail(ErrorCode::kInvalidArgument, "{} \"{}\": that row has no such learning rate and seed", what, name);
    };
    if (row.map_of)
      need("map_of", row.map_of->row, [&](const Cell& other) {
        return other.seed == cell.seed &&
               other.learning_rate == row.map_of->learning_rate.value_or(other.learning_rate);
      });
    // The best learning rate is told by all seeds.
    if (row.map_of && !row.map_of->learning_rate)
      for (const Cell& other : by_row_.at(row.map_of->row))
        if (other.seed != cell.seed) {
          text += other.digest;
          cell.needs.push_back(other.name);
        }
    if (!row.time_of.empty()) need("time_of", row.time_of, [](const Cell&) { return true; });
    return checksum_text(checksum(text));
  }

  const Study& study_;
  const StudyData& data_;
  std::vector<Cell> cells_;
  std::map<std::string, std::vector<Cell>> by_row_;
};

}  // namespace

StudyData::StudyData(const Study& study) {
  tokenizer = std::make_unique<text::Tokenizer>(text::load_tokenizer(study.tokenizer));
  train = open_tokens(study, study.train, *tokenizer);
  valid = open_tokens(study, study.valid, *tokenizer);
  counts = maps::token_counts(*train);
  checksums = checksum_text(file_checksum(study.train)) + checksum_text(file_checksum(study.valid));
}

std::string cell_name(const StudyRow& row, double learning_rate, std::int64_t seed) {
  return fmt::format("{}_lr{}_seed{}", row.name, learning_rate, seed);
}

std::vector<Cell> plan_cells(const Study& study, const StudyData& data) {
  return CellPlanner(study, data).plan();
}

std::vector<const Cell*> select_cells(const Study& study, std::span<const Cell> cells,
                                      std::span<const std::string> rows) {
  std::set<std::string> wanted;
  for (const std::string& name : rows) study.row(name);
  for (const Cell& cell : cells)
    if (rows.empty() || std::find(rows.begin(), rows.end(), cell.row->name) != rows.end()) wanted.insert(cell.name);
  std::vector<const Cell*> result;
  for (std::size_t i = cells.size(); i-- > 0;) {  // what a cell needs stands before it
    if (!wanted.contains(cells[i].name)) continue;
    wanted.insert(cells[i].needs.begin(), cells[i].needs.end());
    result.push_back(&cells[i]);
  }
  std::reverse(result.begin(), result.end());
  return result;
}

}  // namespace fabula::study
