#include <cmath>
#include <iterator>

#include "base/byte_size.hpp"
#include "formats/html.hpp"
#include "formats/svg_chart.hpp"
#include "study/study_tables.hpp"

namespace fabula::study {
namespace {

class PageWriter {
 public:
  PageWriter(const Study& study, const StudyTables& tables) : study_(study), tables_(tables), rows_(tables.summaries) {}

  std::string write() {
    html_ = html_page_start("fabula study", study_.title,
                            fmt::format("{} rows, compared with {}", study_.rows.size(), study_.reference));
    add("<h2>Rows at their best learning rate</h2>\n");
    write_table(tables_.rows);
    write_plots();
    add("<h2>By the rank of the token in the training text: perplexity (token accuracy; group accuracy)</h2>\n");
    write_table(tables_.bands);
    add("<h2>Every learning rate and seed</h2>\n");
    write_table(tables_.cells);
    add("<h2>Notes</h2>\n<ul>");
    for (const std::string& note : tables_.notes) add("<li>{}</li>", html_escape(note));
    add("</ul>\n");
    html_ += kHtmlPageEnd;
    return std::move(html_);
  }

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(html_), format, std::forward<Args>(args)...);
  }

  void write_table(const Table& table) {
    if (table.rows.empty()) {
      add("<p class=\"none\">Nothing is finished yet.</p>\n");
      return;
    }
    add("<div class=\"table\"><table><thead><tr>");
    const auto is_text = [&](std::size_t i) { return table.columns[i] == "head" || table.columns[i] == "group"; };
    const auto add_cell = [&](const char* tag, std::size_t i, const std::string& text) {
      add("<{}{}>{}</{}>", tag, is_text(i) ? " class=\"text\"" : "", html_escape(text), tag);
    };
    for (std::size_t i = 0; i < table.columns.size(); ++i) add_cell("th", i, table.columns[i]);
    add("</tr></thead><tbody>\n");
    for (const auto& row : table.rows) {
      add("<tr>");
      for (std::size_t i = 0; i < row.size(); ++i) add_cell("td", i, row[i]);
      add("</tr>\n");
    }
    add("</tbody></table></div>\n");
  }

  // Rows of a group have a colour, else each its own.
  int color_of(const StudyRow& row) const {
    std::vector<std::string> names;
    for (const StudyRow& other : study_.rows) {
      const std::string& name = other.group.empty() ? other.name : other.group;
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      if (&other == &row) break;
    }
    const std::string& own = row.group.empty() ? row.name : row.group;
    return static_cast<int>(std::find(names.begin(), names.end(), own) - names.begin()) % kChartColors;
  }

  /// Perplexity against something of the rows.
  template <class Measure>
  std::string plot(const char* title, const char* x_label, const Measure& measure, bool large_is_good = false,
                   bool log_x = false) const {
    Scatter scatter{.title = title, .note = {}, .x_label = x_label, .points = {}};
    scatter.note = large_is_good ? "Better to the lower right." : "Better to the lower left.";
    scatter.large_is_good = large_is_good;
    scatter.log_x = log_x;
    for (const RowSummary& row : rows_)
      if (!row.cells.empty())
        scatter.points.push_back({row.row->name, measure(row), row.perplexity.mean, row.perplexity.low,
                                  row.perplexity.high, color_of(*row.row)});
    return scatter_html(scatter);
  }

  std::string curves() const {
    Chart chart;
    chart.title = "Perplexity over time";
    chart.note =
        "Validations during training, of the first seed at the best learning rate; the first quarter is left out.";
    chart.x_label = "seconds of training";
    chart.whole_x = false;
    for (const RowSummary& row : rows_) {
      if (row.cells.empty()) continue;
      const CellResult& first = *row.cells.front();
      ChartSeries series{row.row->name, {}, color_of(*row.row), true};
      for (const CurvePoint& point : first.curve)
        if (4 * point.step >= first.steps) series.points.push_back({point.seconds, std::exp(point.loss)});
      if (!series.points.empty()) chart.series.push_back(std::move(series));
    }
    return chart_html(chart);
  }

  void write_plots() {
    std::string plots = plot("Perplexity and memory", "peak MiB of device memory while training",
                             [](const RowSummary& row) { return mib(row.cells.front()->peak_bytes); });
    plots += plot("Perplexity and parameters", "parameters",
                  [](const RowSummary& row) { return static_cast<double>(row.cells.front()->parameters); });
    plots += plot(
        "Perplexity and logits", "logits of a position, in the mean",
        [](const RowSummary& row) { return row.cells.front()->logits; }, false, true);
    plots += plot(
        "Perplexity and speed", "tokens/s while training", [](const RowSummary& row) { return row.tokens_per_second; },
        true);
    plots += plot("Perplexity and time", "seconds of training", [](const RowSummary& row) { return row.seconds; });
    plots += curves();
    if (plots.empty()) return;
    add("<h2>What perplexity costs</h2>\n<p>Points are means over seeds, bars reach from the least to the most; the "
        "dashed "
        "line joins the rows that no other one beats in both.</p>\n<section class=\"charts\">\n{}</section>\n",
        plots);
  }

  const Study& study_;
  const StudyTables& tables_;
  const std::vector<RowSummary>& rows_;
  std::string html_;
};

}  // namespace

std::string study_page(const Study& study, const StudyTables& tables) {
  return PageWriter(study, tables).write();
}

}  // namespace fabula::study
