#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "formats/table.hpp"
#include "study/cells.hpp"
#include "study/summary.hpp"

namespace fabula::study {

/// The tables of a study, of what is finished: a line a row at its best learning rate; a line a cell; perplexity and
/// accuracy by the frequency of the token.
struct StudyTables {
  std::vector<std::string> notes;  ///< a sentence each
  std::vector<RowSummary> summaries;
  Table rows, cells, bands;
};

/// A page with the tables, plots of perplexity against what it costs, and perplexity over time. No scripts, nothing
/// from elsewhere.
std::string study_page(const Study& study, const StudyTables& tables);

inline constexpr const char* kTableFiles[] = {"study.md", "study.csv", "study.json", "study.html"};
/// Writes these files into OUT, each as one step; study.csv has a line a cell. Error kIo.
void write_study_tables(const std::filesystem::path& out, const Study& study, std::span<const Cell> cells,
                        const CellResults& results);

}  // namespace fabula::study
