#include "formats/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/perplexity.hpp"
#include "formats/html.hpp"
#include "formats/svg_chart.hpp"

namespace fabula {
namespace {

constexpr int kTrainColor = 0;
constexpr int kEvalColor = 1;
constexpr std::size_t kSamplesOpen = 2;  // the latest ones are shown unfolded
constexpr std::size_t kMaxSamples = 60;
constexpr std::string_view kStepMark = "<meta name=\"fabula-step\" content=\"";

using Points = std::vector<ChartPoint>;

// Of the finite values; NaN when there is none.
double median(Points points) {
  std::erase_if(points, [](const ChartPoint& point) { return !std::isfinite(point.y); });
  if (points.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = points.begin() + static_cast<std::ptrdiff_t>(points.size() / 2);
  std::nth_element(points.begin(), middle, points.end(),
                   [](const ChartPoint& a, const ChartPoint& b) { return a.y < b.y; });
  return middle->y;
}

class ReportWriter {
 public:
  explicit ReportWriter(const RunSummary& summary) : summary_(summary) {}

  std::string write() {
    html_ = html_page_start("fabula training report", summary_.title, summary_.subtitle,
                            fmt::format("{}{}\">\n", kStepMark, summary_.step));
    write_tiles();
    write_charts();
    write_samples();
    write_facts();
    html_ += kHtmlPageEnd;
    return std::move(html_);
  }

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(html_), format, std::forward<Args>(args)...);
  }

  Points points(std::string_view kind, const std::string& value) const {
    Points result;
    for (const MetricsRecord& record : summary_.records) {
      const auto it = record.values.find(value);
      if (record.kind == kind && it != record.values.end())
        result.push_back({static_cast<double>(record.step), it->second});
    }
    std::stable_sort(result.begin(), result.end(), [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
    return result;
  }

  std::optional<double> last(std::string_view kind, const std::string& value) const {
    const Points all = points(kind, value);
    return all.empty() ? std::nullopt : std::optional(all.back().y);
  }

  void tile(const char* label, const std::optional<double>& value, const std::string& text,
            const std::string& unit = "") {
    if (value && std::isfinite(*value)) add("<li><span>{}</span><b>{}</b><small>{}</small></li>", label, text, unit);
  }

  void write_tiles() {
    std::optional<double> steps;
    for (const MetricsRecord& record : summary_.records)
      steps = std::max(steps.value_or(0), static_cast<double>(record.step));
    std::optional<double> best;
    double best_step = 0;
    for (const ChartPoint& point : points(kEvalRecord, "loss")) {
      if (!std::isfinite(point.y) || (best && point.y >= *best)) continue;
      best = point.y;
      best_step = point.x;
    }
    const auto tokens = last(kTrainRecord, "tokens_seen");
    const double speed = median(points(kTrainRecord, "tokens_per_second"));
    const auto group = last(kEvalRecord, "group_accuracy");
    const auto token = last(kEvalRecord, "token_accuracy");
    const double perplexity = std::exp(best.value_or(0));
    add("<ul class=\"tiles\">");
    tile("Steps", steps, short_number(steps.value_or(0)), tokens ? short_number(*tokens) + " tokens" : "");
    tile("Best validation loss", best, fmt::format("{:.3f}", best.value_or(0)), fmt::format("step {:.0f}", best_step));
    tile("Perplexity there", best, perplexity > 1e6 ? perplexity_text(perplexity, 0) : short_number(perplexity),
         "per token");
    tile("Group accuracy", group, fmt::format("{:.1f} %", 100 * group.value_or(0)), "validation");
    tile("Token in group", token, fmt::format("{:.1f} %", 100 * token.value_or(0)), "validation");
    tile("Speed", speed, short_number(speed), "tokens/s, median");
    add("</ul>\n");
  }

  Chart pair(const char* title, const std::string& value) const {
    return {title,
            "",
            {{"train", points(kTrainRecord, value), kTrainColor, false},
             {"validation", points(kEvalRecord, value), kEvalColor, true}}};
  }

  Chart single(const char* title, const std::string& value) const {
    Chart chart{title, "", {{"last", points(kTrainRecord, value), kTrainColor, false}}};
    chart.from_zero = true;
    return chart;
  }

  void write_charts() {
    Chart loss = pair("Loss", "loss");
    loss.note = "Nats per token; its exponential is the perplexity.";
    Chart group = pair("Group accuracy", "group_accuracy");
    group.note = "How often the likeliest group holds the next token.";
    group.percent = true;
    Chart token = pair("Token-in-group accuracy", "token_accuracy");
    token.note = "How often the likeliest token of the right group is the next one.";
    token.percent = true;
    Chart norm = single("Gradient norm", "grad_norm");
    norm.note = "Of the whole gradient, before clipping.";
    std::string charts;
    for (const Chart& chart : {loss, norm, group, token, single("Learning rate", "learning_rate"),
                               single("Tokens per second", "tokens_per_second")}) {
      charts += chart_html(chart);
    }
    add("<h2>Curves</h2>\n");
    if (charts.empty()) {
      add("<p class=\"none\">Nothing is measured yet.</p>\n");
    } else {
      add("<section class=\"charts\">\n{}</section>\n", charts);
    }
  }

  void write_samples() {
    std::vector<const MetricsRecord*> samples;
    for (const MetricsRecord& record : summary_.records) {
      if (record.kind == kSampleRecord) samples.push_back(&record);
    }
    if (samples.empty()) return;
    std::stable_sort(samples.begin(), samples.end(), [](const auto* a, const auto* b) { return a->step > b->step; });
    if (samples.size() > kMaxSamples) {  // the first one shows where it began
      samples[kMaxSamples - 1] = samples.back();
      samples.resize(kMaxSamples);
    }
    add("<h2>Stories, the latest first</h2>\n");
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const auto text = [&](const char* key) {
        const auto it = samples[i]->texts.find(key);
        return it == samples[i]->texts.end() ? std::string() : html_escape(it->second);
      };
      add("<details class=\"story\"{}><summary><b>Step "
          "{}</b></summary><blockquote><em>{}</em>{}</blockquote></details>\n",
          i < kSamplesOpen ? " open" : "", samples[i]->step, text("prompt"), text("text"));
    }
  }

  void write_facts() {
    if (summary_.facts.empty() && summary_.config_json.empty()) return;
    add("<h2>The run</h2>\n");
    if (!summary_.facts.empty()) {
      add("<dl class=\"facts\">");
      for (const auto& [name, value] : summary_.facts)
        add("<div><dt>{}</dt><dd>{}</dd></div>", html_escape(name), html_escape(value));
      add("</dl>\n");
    }
    if (!summary_.config_json.empty()) {
      add("<details class=\"config\"><summary>config.json</summary><pre>{}</pre></details>\n",
          html_escape(summary_.config_json));
    }
  }

  const RunSummary& summary_;
  std::string html_;
};

}  // namespace

std::string report_html(const RunSummary& summary) {
  return ReportWriter(summary).write();
}

void write_report(const std::filesystem::path& path, const RunSummary& summary) {
  write_file_atomically(path, report_html(summary));
}

std::optional<std::int64_t> report_step(const std::filesystem::path& path) try {
  const std::string html = read_file(path);
  const std::size_t mark = html.find(kStepMark);
  if (mark == std::string::npos) return std::nullopt;
  std::int64_t step = 0;
  const char* begin = html.data() + mark + kStepMark.size();
  const auto result = std::from_chars(begin, html.data() + html.size(), step);
  return result.ec == std::errc() ? std::optional(step) : std::nullopt;
} catch (const Error&) {
  return std::nullopt;
}

}  // namespace fabula
