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
  Table rows, cells, bands;
};
StudyTables study_tables(const Study& study, std::span<const Cell> cells, const CellResults& results);

/// A page with the tables, plots of perplexity against what it costs, and perplexity over time. No scripts, nothing
/// from elsewhere.
std::string study_page(const Study& study, const StudyTables& tables, const CellResults& results);

/// Writes OUT/study.md, study.csv (a line a cell), study.json and study.html, each as one step. Error kIo.
void write_study_tables(const std::filesystem::path& out, const Study& study, std::span<const Cell> cells,
                        const CellResults& results);

}  // namespace fabula::study
