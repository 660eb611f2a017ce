#include "study/study_tables.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/atomic_file.hpp"
#include "base/byte_size.hpp"
#include "formats/json_access.hpp"

namespace fabula::study {
namespace {

using nlohmann::ordered_json;

std::string cell(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : "-";
}
std::string percent(double part) {
  return cell(100 * part, 2);
}
std::string thousands(double value) {
  if (!std::isfinite(value)) return "-";
  std::string text = fmt::format("{:.0f}", value);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}
std::string millions(std::int64_t count) {
  return fmt::format("{:.3f}", 1e-6 * static_cast<double>(count));
}
std::string mib_text(std::uint64_t bytes) {
  return fmt::format("{:.1f}", mib(bytes));
}

const RowSummary* reference_of(const Study& study, const std::vector<RowSummary>& rows) {
  for (const RowSummary& row : rows)
    if (row.row->name == study.reference) return &row;
  return nullptr;
}

/// Its mean perplexity beside the reference's, as a part of that.
double relative(const RowSummary& row, const RowSummary* reference) {
  return reference == nullptr ? kNoNumber : row.perplexity.mean / reference->perplexity.mean - 1;
}

Table rows_table(const Study& study, const std::vector<RowSummary>& rows) {
  Table table{{"row", "perplexity", "least", "most", "% of " + study.reference, "learning rate", "seeds", "steps",
               "logits", "most logits", "M parameters", "M of the head", "peak MiB", "tokens/s", "seconds", "head"},
              {},
              {}};
  const bool grouped =
      std::any_of(study.rows.begin(), study.rows.end(), [](const auto& row) { return !row.group.empty(); });
  if (grouped) table.columns.insert(table.columns.end() - 1, "group");
  const RowSummary* reference = reference_of(study, rows);
  for (const RowSummary& row : rows) {
    const CellResult none, &first = row.cells.empty() ? none : *row.cells.front();
    const double part = relative(row, reference);
    const bool known = !row.cells.empty();
    std::vector<std::string> line{
        row.row->name,
        cell(row.perplexity.mean, 3),
        cell(row.perplexity.low, 3),
        cell(row.perplexity.high, 3),
        std::isfinite(part) && row.row->name != study.reference ? fmt::format("{:+.1f}", 100 * part) : "",
        fmt::format("{}", row.learning_rate),
        row.diverged == 0 ? std::to_string(row.cells.size())
                          : fmt::format("{}, {} diverged", row.cells.size(), row.diverged),
        known ? std::to_string(first.steps) : "-",
        thousands(first.logits),
        known ? thousands(static_cast<double>(first.most_logits)) : "-",
        known ? millions(first.parameters) : "-",
        known ? millions(first.head_parameters) : "-",
        known ? mib_text(first.peak_bytes) : "-",
        thousands(row.tokens_per_second),
        cell(row.seconds, 1),
        known ? first.head : "-"};
    if (grouped) line.insert(line.end() - 1, row.row->group);
    table.rows.push_back(std::move(line));
  }
  return table;
}

/// What is finished, in the order of the cells.
std::vector<const CellResult*> in_order(std::span<const Cell> cells, const CellResults& results) {
  std::vector<const CellResult*> order;
  for (const Cell& one : cells)
    if (const auto found = results.find(one.name); found != results.end()) order.push_back(&found->second);
  return order;
}

Table cells_table(const std::vector<const CellResult*>& results) {
  Table table{{"row", "learning rate", "seed", "steps", "perplexity", "token accuracy, %", "group accuracy, %",
               "token in group, %", "peak MiB", "tokens/s", "seconds", "diverged"},
              {},
              {}};
  for (const CellResult* r : results)
    table.rows.push_back({r->row, fmt::format("{}", r->learning_rate), std::to_string(r->seed),
                          std::to_string(r->steps), cell(r->perplexity(), 3), percent(r->token_accuracy),
                          percent(r->group_accuracy), percent(r->token_in_group_accuracy), mib_text(r->peak_bytes),
                          thousands(r->timings.tokens_per_second), cell(r->timings.seconds, 1), r->diverged});
  return table;
}

/// Means of a band over the seeds of a row.
struct BandMeans {
  double loss, token_accuracy;
  double group_accuracy;  ///< over the seeds that have it; NaN: none has
};
BandMeans band_means(const RowSummary& row, std::size_t band) {
  double loss = 0, tokens = 0, groups = 0, with_groups = 0;
  for (const CellResult* one : row.cells) {
    const BandResult& of = one->bands.at(band);
    loss += of.loss;
    tokens += of.token_accuracy;
    if (!std::isfinite(of.group_accuracy)) continue;
    groups += of.group_accuracy;
    ++with_groups;
  }
  const double seeds = static_cast<double>(row.cells.size());
  return {loss / seeds, tokens / seeds, groups / with_groups};
}

std::string band_text(const BandMeans& means) {
  const std::string groups =
      std::isfinite(means.group_accuracy) ? fmt::format("; {} %", cell(100 * means.group_accuracy, 1)) : "";
  return fmt::format("{} ({} %{})", cell(std::exp(means.loss), 2), cell(100 * means.token_accuracy, 1), groups);
}

Table bands_table(const std::vector<RowSummary>& rows) {
  Table table{{"row"}, {}, {}};
  std::vector<std::string> names;
  for (const RowSummary& row : rows) {
    if (row.cells.empty()) continue;
    if (names.empty())
      for (const BandResult& band : row.cells.front()->bands) names.push_back(band.band);
    std::vector<std::string> line{row.row->name};
    for (std::size_t i = 0; i < names.size(); ++i) line.push_back(band_text(band_means(row, i)));
    table.rows.push_back(std::move(line));
  }
  table.columns.insert(table.columns.end(), names.begin(), names.end());
  return table;
}

/// "device: a; b": what the results say of something, each once.
std::string all_of(const std::vector<const CellResult*>& results, const char* what, std::string CellResult::*of) {
  std::set<std::string> values;
  for (const CellResult* result : results) values.insert(result->*of);
  return fmt::format("{}: {}", what, fmt::join(values, "; "));
}

std::string csv(const std::vector<const CellResult*>& results) {
  Table table{{"row",
               "learning_rate",
               "seed",
               "diverged",
               "head",
               "steps",
               "tokens",
               "positions",
               "loss",
               "perplexity",
               "token_accuracy",
               "group_accuracy",
               "token_in_group_accuracy",
               "logits",
               "most_logits",
               "parameters",
               "head_parameters",
               "peak_bytes",
               "tokens_per_second",
               "seconds_per_step",
               "seconds",
               "device",
               "driver",
               "program"},
              {},
              {}};
  for (const CellResult* result : results) {
    const ordered_json entry = cell_result_json(*result);
    std::vector<std::string> line;
    for (const std::string& column : table.columns) {
      const ordered_json& value = entry.contains(column) ? entry[column] : entry["timings"][column];
      line.push_back(value.is_null() ? "" : value.is_string() ? value.get<std::string>() : dump_json(value));
    }
    table.rows.push_back(std::move(line));
  }
  if (!results.empty())  // they are the same for all
    for (const BandResult& band : results.front()->bands) {
      table.columns.push_back("loss of ranks " + band.band);
      for (std::size_t i = 0; i < results.size(); ++i) {
        const auto& bands = results[i]->bands;
        const auto found =
            std::find_if(bands.begin(), bands.end(), [&](const BandResult& of) { return of.band == band.band; });
        table.rows[i].push_back(found == bands.end() || !std::isfinite(found->loss) ? ""
                                                                                    : fmt::format("{}", found->loss));
      }
    }
  return table_text(table, "csv");
}

std::string json_text(const Study& study, const StudyTables& tables, const std::vector<const CellResult*>& results) {
  ordered_json root{{"study", study.name}, {"title", study.title}, {"reference", study.reference}};
  root["notes"] = tables.notes;
  root["rows"] = ordered_json::array();
  const RowSummary* reference = reference_of(study, tables.summaries);
  for (const RowSummary& row : tables.summaries) {
    ordered_json entry{{"row", row.row->name},
                       {"group", row.row->group},
                       {"learning_rate", row.learning_rate},
                       {"seeds", row.cells.size()},
                       {"diverged", row.diverged},
                       {"perplexity", json_number(row.perplexity.mean)},
                       {"least", json_number(row.perplexity.low)},
                       {"most", json_number(row.perplexity.high)},
                       {"relative", json_number(relative(row, reference))}};
    if (!row.cells.empty()) {
      const CellResult& first = *row.cells.front();
      entry.update({{"head", first.head},
                    {"steps", first.steps},
                    {"logits", json_number(first.logits)},
                    {"most_logits", first.most_logits},
                    {"parameters", first.parameters},
                    {"head_parameters", first.head_parameters},
                    {"peak_bytes", first.peak_bytes}});
      entry["bands"] = ordered_json::array();
      for (std::size_t i = 0; i < first.bands.size(); ++i) {
        const BandMeans means = band_means(row, i);
        entry["bands"].push_back({{"band", first.bands[i].band},
                                  {"positions", first.bands[i].positions},
                                  {"loss", json_number(means.loss)},
                                  {"token_accuracy", json_number(means.token_accuracy)},
                                  {"group_accuracy", json_number(means.group_accuracy)}});
      }
    }
    entry["timings"] = {{"tokens_per_second", json_number(row.tokens_per_second)},
                        {"seconds", json_number(row.seconds)}};
    root["rows"].push_back(std::move(entry));
  }
  root["cells"] = ordered_json::array();
  for (const CellResult* result : results) root["cells"].push_back(cell_result_json(*result));
  return dump_json(root, 2) + "\n";
}

std::string markdown(const Study& study, const StudyTables& tables) {
  std::string text = fmt::format("# {}\n\n", study.title);
  for (const std::string& note : tables.notes) text += "- " + note + "\n";
  text += "\n## Rows at their best learning rate\n\n" + table_text(tables.rows, "md");
  text += "\n## By the rank of the token in the training text: perplexity (token accuracy; group accuracy)\n\n" +
          table_text(tables.bands, "md");
  text += "\n## Every learning rate and seed\n\n" + table_text(tables.cells, "md");
  return text;
}

StudyTables study_tables(const Study& study, std::size_t cells, const std::vector<const CellResult*>& finished,
                         std::vector<RowSummary> rows) {
  StudyTables tables{{}, {}, rows_table(study, rows), cells_table(finished), bands_table(rows)};
  tables.summaries = std::move(rows);
  tables.notes.push_back(fmt::format("{} of {} runs are finished", finished.size(), cells));
  tables.notes.push_back(
      "a row is shown at the learning rate with the smallest mean perplexity over its seeds, of those that most seeds "
      "are finished at; least and most: of the seeds");
  tables.notes.push_back(fmt::format("perplexity per token over the whole of {}", study.valid.filename().string()));
  for (const StudyRow& row : study.rows) {
    if (row.map_of)
      tables.notes.push_back(
          fmt::format("{}: its token map is made from the embeddings of {}, of the same seed{}; their "
                      "time is not counted",
                      row.name, row.map_of->row,
                      row.map_of->learning_rate ? fmt::format(", at {}", *row.map_of->learning_rate)
                                                : ", at its best learning rate"));
    if (!row.time_of.empty())
      tables.notes.push_back(fmt::format("{}: as many steps as fit the time of {}", row.name, row.time_of));
  }
  if (!finished.empty()) {
    tables.notes.push_back(all_of(finished, "device", &CellResult::device));
    tables.notes.push_back(all_of(finished, "driver", &CellResult::driver));
    tables.notes.push_back(all_of(finished, "program", &CellResult::program));
  }
  return tables;
}

}  // namespace

void write_study_tables(const std::filesystem::path& out, const Study& study, std::span<const Cell> cells,
                        const CellResults& results) {
  const std::vector<const CellResult*> finished = in_order(cells, results);
  const StudyTables tables = study_tables(study, cells.size(), finished, summarise(study, results));
  const std::string texts[] = {markdown(study, tables), csv(finished), json_text(study, tables, finished),
                               study_page(study, tables)};
  static_assert(std::size(texts) == std::size(kTableFiles));
  for (std::size_t i = 0; i < std::size(kTableFiles); ++i) write_file_atomically(out / kTableFiles[i], texts[i]);
}

}  // namespace fabula::study
