#include "convert/compress_report.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include "base/byte_size.hpp"
#include "formats/html.hpp"
#include "formats/svg_chart.hpp"

namespace fabula::convert {
namespace {

std::string error_text(const CompressedMatrix& matrix) {
  return matrix.bits == 0 ? std::string("-") : fmt::format("{:.3g} %", 100 * matrix.error);
}

std::string whole_text(const CompressResult& result) {
  const auto kept = std::count_if(result.matrices.begin(), result.matrices.end(),
                                  [](const CompressedMatrix& matrix) { return matrix.bits == 0; });
  return fmt::format(
      "the whole model: {:.3f} real bits a parameter, {:.3f} MB where it was {:.3f} MB; {} matrices in few bits, {} "
      "kept "
      "as floats",
      result.real_bits(), 1e-6 * double(result.bytes), 1e-6 * double(result.bytes_before),
      static_cast<std::int64_t>(result.matrices.size()) - kept, kept);
}

class CompressionPage {
 public:
  CompressionPage(const CompressResult& result, const std::optional<CompressCost>& cost)
      : result_(result), cost_(cost) {
    for (const CompressedMatrix& matrix : result.matrices)
      if (matrix.layer >= 0 && std::find(kinds_.begin(), kinds_.end(), matrix.kind) == kinds_.end())
        kinds_.push_back(matrix.kind);
  }

  std::string write(const std::string& title, const std::string& how) {
    html_ = html_page_start("fabula compress", title, how);
    add("<p>{}.</p>\n", html_escape(whole_text(result_)));
    if (cost_)
      add("<p>Perplexity {:.4f}, where it was {:.4f}: {:+.2f} %.</p>\n", cost_->after, cost_->before,
          100 * (cost_->after / cost_->before - 1));
    add("<section class=\"charts\">\n{}{}{}</section>\n", by_layer(), by_bits(), by_bytes());
    write_table(compress_table(result_));
    return std::move(html_ += kHtmlPageEnd);
  }

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(html_), format, std::forward<Args>(args)...);
  }
  int color_of(const CompressedMatrix& matrix) const {
    return static_cast<int>(std::find(kinds_.begin(), kinds_.end(), matrix.kind) - kinds_.begin()) % kChartColors;
  }

  std::string by_layer() const {
    Chart chart;
    chart.title = "Error by layer";
    chart.note = "Mean square of what changed in a layer's outputs, in parts of theirs.";
    chart.x_label = "layer";
    chart.from_zero = true;
    for (const std::string& kind : kinds_) {
      ChartSeries series{.label = kind, .points = {}, .color = 0, .markers = true};
      for (const CompressedMatrix& matrix : result_.matrices)
        if (matrix.kind == kind && matrix.layer >= 0 && matrix.bits > 0) {
          series.color = color_of(matrix);
          series.points.push_back({static_cast<double>(matrix.layer), matrix.error});
        }
      if (!series.points.empty()) chart.series.push_back(std::move(series));
    }
    return chart_html(chart);
  }

  std::string by_bits() const {
    Scatter scatter{
        .title = "Bits and error", .note = "Better to the lower left.", .x_label = "real bits a weight", .points = {}};
    for (const CompressedMatrix& matrix : result_.matrices)
      if (matrix.bits > 0)
        scatter.points.push_back(
            {matrix.name, matrix.real_bits(), matrix.error, matrix.error, matrix.error, color_of(matrix)});
    return scatter_html(scatter);
  }

  std::string by_bytes() const {
    if (!cost_) return {};
    Scatter scatter{
        .title = "Perplexity and bytes", .note = "Better to the lower left.", .x_label = "MB of weights", .points = {}};
    const auto point = [&](const char* label, std::uint64_t bytes, double perplexity, int color) {
      scatter.points.push_back({label, 1e-6 * double(bytes), perplexity, perplexity, perplexity, color});
    };
    point("as it was", result_.bytes_before, cost_->before, 0);
    point("compressed", result_.bytes, cost_->after, 1);
    return scatter_html(scatter);
  }

  void write_table(const Table& table) {
    add("<div class=\"table\"><table><thead><tr>");
    for (std::size_t i = 0; i < table.columns.size(); ++i)
      add("<th{}>{}</th>", i == 0 ? " class=\"text\"" : "", html_escape(table.columns[i]));
    add("</tr></thead><tbody>\n");
    for (const auto& row : table.rows) {
      add("<tr>");
      for (std::size_t i = 0; i < row.size(); ++i)
        add("<td{}>{}</td>", i == 0 ? " class=\"text\"" : "", html_escape(row[i]));
      add("</tr>\n");
    }
    add("</tbody></table></div>\n");
  }

  const CompressResult& result_;
  const std::optional<CompressCost>& cost_;
  std::vector<std::string> kinds_;
  std::string html_;
};

}  // namespace

Table compress_table(const CompressResult& result) {
  Table table{.columns = {"matrix", "numbers", "code bits", "real bits", "bytes", "error"}, .rows = {}, .notes = {}};
  for (const CompressedMatrix& matrix : result.matrices)
    table.rows.push_back({matrix.name, std::to_string(matrix.numbers),
                          matrix.bits == 0 ? "floats" : std::to_string(matrix.bits),
                          fmt::format("{:.3f}", matrix.real_bits()), std::to_string(matrix.bytes), error_text(matrix)});
  table.notes.push_back(whole_text(result));
  for (const CompressedMatrix& matrix : result.matrices)
    if (!matrix.why_kept.empty())
      table.notes.push_back(fmt::format("{} stays floats: {}", matrix.name, matrix.why_kept));
  return table;
}

std::string compress_page(const std::string& title, const std::string& how, const CompressResult& result,
                          const std::optional<CompressCost>& cost) {
  return CompressionPage(result, cost).write(title, how);
}

}  // namespace fabula::convert
