#include "study/summary.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/median.hpp"

namespace fabula::study {

Spread spread_of(const std::vector<double>& values) {
  if (values.empty()) return {};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size()), *low, *high};
}

std::optional<RowSummary> summarise_row(const StudyRow& row, const CellResults& results) {
  std::map<double, RowSummary> by_rate;
  for (const auto& [name, result] : results) {
    if (result.row != row.name) continue;
    RowSummary& summary = by_rate[result.learning_rate];
    summary.row = &row;
    summary.learning_rate = result.learning_rate;
    if (result.has_diverged())
      ++summary.diverged;
    else
      summary.cells.push_back(&result);
  }
  const auto mean = [](const RowSummary& summary) {
    return summary.diverged > 0 ? std::numeric_limits<double>::infinity() : summary.perplexity.mean;
  };
  std::optional<RowSummary> best;
  for (auto& [rate, summary] : by_rate) {
    std::vector<double> perplexities, speeds, times;
    for (const CellResult* cell : summary.cells) {
      perplexities.push_back(cell->perplexity());
      speeds.push_back(cell->timings.tokens_per_second);
      times.push_back(cell->timings.seconds);
    }
    summary.perplexity = spread_of(perplexities);
    if (!summary.cells.empty()) {
      summary.tokens_per_second = median(speeds);
      summary.seconds = median(times);
    }
    const auto finished = [](const RowSummary& of) { return of.cells.size() + of.diverged; };
    if (!best || finished(summary) > finished(*best) ||
        (finished(summary) == finished(*best) && mean(summary) < mean(*best)))
      best = std::move(summary);
  }
  return best;
}

std::vector<RowSummary> summarise(const Study& study, const CellResults& results) {
  std::vector<RowSummary> summaries;
  for (const StudyRow& row : study.rows)
    if (auto summary = summarise_row(row, results)) summaries.push_back(std::move(*summary));
  return summaries;
}

}  // namespace fabula::study
