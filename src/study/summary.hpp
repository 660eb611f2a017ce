#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "study/cell_result.hpp"
#include "study/study_file.hpp"

namespace fabula::study {

using CellResults = std::map<std::string, CellResult>;  ///< by cell

struct Spread {
  double mean = kNoNumber, low = kNoNumber, high = kNoNumber;
};
Spread spread_of(const std::vector<double>& values);

/// A row at its best learning rate: of those with the most finished seeds the one with the smallest mean perplexity;
/// one at which a seed diverged is the worst.
struct RowSummary {
  const StudyRow* row = nullptr;
  double learning_rate = 0;
  std::vector<const CellResult*> cells;  ///< at it, those that did not diverge
  std::size_t diverged = 0;              ///< others at it
  Spread perplexity;
  double tokens_per_second = kNoNumber, seconds = kNoNumber;  ///< medians
};

/// Nothing where no cell of the row is finished.
std::optional<RowSummary> summarise_row(const StudyRow& row, const CellResults& results);
/// In the order of the study's file.
std::vector<RowSummary> summarise(const Study& study, const CellResults& results);

}  // namespace fabula::study
