#include "formats/table.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "formats/json_access.hpp"

namespace fabula {
namespace {

std::string markdown(const Table& table) {
  std::string text;
  for (const std::string& note : table.notes) text += note + "  \n";
  if (!table.notes.empty()) text += "\n";
  std::vector<std::size_t> width;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    width.push_back(table.columns[c].size());
    for (const auto& row : table.rows) width[c] = std::max(width[c], row.at(c).size());
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) text += fmt::format("| {:<{}} ", cells[c], width[c]);
    text += "|\n";
  };
  line(table.columns);
  for (std::size_t w : width) text += "|" + std::string(w + 2, '-');
  text += "|\n";
  for (const auto& row : table.rows) line(row);
  return text;
}

std::string csv_cell(const std::string& cell) {
  if (cell.find_first_of(",\"\n") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (char c : cell) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv(const Table& table) {
  std::string text;
  for (const std::string& note : table.notes) text += "# " + note + "\n";
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) text += (c ? "," : "") + csv_cell(cells[c]);
    text += "\n";
  };
  line(table.columns);
  for (const auto& row : table.rows) line(row);
  return text;
}

/// Cells that are whole numbers in JSON's grammar stay numbers.
nlohmann::ordered_json json_cell(const std::string& cell) {
  auto value = nlohmann::ordered_json::parse(cell, nullptr, false);
  return value.is_number() ? value : nlohmann::ordered_json(cell);
}

std::string json_of(const Table& table) {
  auto rows = nlohmann::ordered_json::array();
  for (const auto& row : table.rows) {
    nlohmann::ordered_json object;
    for (std::size_t c = 0; c < row.size(); ++c) object[table.columns[c]] = json_cell(row[c]);
    rows.push_back(object);
  }
  return dump_json(nlohmann::ordered_json{{"notes", table.notes}, {"rows", rows}}, 2) + "\n";
}

}  // namespace

std::string table_text(const Table& table, const std::string& format) {
  if (format == "md") return markdown(table);
  if (format == "csv") return csv(table);
  if (format == "json") return json_of(table);
  fail(ErrorCode::kInvalidArgument, "output format \"{}\"; there are md, csv and json", format);
}

}  // namespace fabula
