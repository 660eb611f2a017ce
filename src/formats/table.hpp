#pragma once
#include <string>
#include <vector>

namespace fabula {

/// A table of results that prints as Markdown, CSV or JSON (an array of objects).
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string>
      notes;  ///< machine, driver, commit: one line each; above the table in Markdown, '#' lines in CSV
};

/// `format`: "md", "csv" or "json"; throws kInvalidArgument for another.
std::string table_text(const Table& table, const std::string& format);

}  // namespace fabula
