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

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--page:#f6f5f2;--card:#fff;--ink:#1d2127;--soft:#636b76;--line:#e3e1db;--accent:#0f6b5c;
--series-0:#2563c9;--series-1:#d4660a;--series-2:#0f8a6d;--series-3:#8b46c1}
@media(prefers-color-scheme:dark){:root{--page:#14171b;--card:#1c2026;--ink:#e7e9ec;--soft:#98a1ad;--line:#2d333b;--accent:#5cc9b2;
--series-0:#79a9ff;--series-1:#f5a35c;--series-2:#5fd0b0;--series-3:#c79bf2}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 20px 56px}
header p{margin:4px 0 0;color:var(--soft)}
.brand{font-size:.78rem;letter-spacing:.12em;text-transform:uppercase;color:var(--accent);font-weight:600}
h1{font-size:1.9rem;line-height:1.2;margin:2px 0 0;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:40px 0 14px}
h3{font-size:.95rem;margin:0;font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:24px 0 0;padding:0;list-style:none}
.tiles li,.chart,.story,.facts,details.config{background:var(--card);border:1px solid var(--line);border-radius:10px}
.tiles li{padding:12px 16px}
.tiles span{display:block;font-size:.78rem;color:var(--soft)}
.tiles b{display:block;white-space:nowrap;font-size:1.4rem;line-height:1.3;font-weight:600;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.tiles small{font-size:.78rem;color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:14px}
.chart{margin:0;padding:14px 16px 8px;min-width:0}
.chart figcaption{display:flex;flex-wrap:wrap;gap:2px 16px;align-items:baseline;justify-content:space-between}
.chart figcaption p{flex-basis:100%;margin:0;font-size:.8rem;color:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;margin:0;padding:0;list-style:none;font-size:.8rem;color:var(--soft)}
.legend b{color:var(--ink);font-weight:600;font-variant-numeric:tabular-nums}
.legend i{display:inline-block;width:12px;height:3px;border-radius:2px;margin-right:6px;vertical-align:middle;background:var(--c)}
.c0{--c:var(--series-0)}.c1{--c:var(--series-1)}.c2{--c:var(--series-2)}.c3{--c:var(--series-3)}
svg{display:block;width:100%;height:auto;margin-top:6px;overflow:visible}
svg text{font-size:12px;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .y{text-anchor:end}svg .x{text-anchor:middle}
.grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--soft);stroke-opacity:.6;stroke-width:1}
.line{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.band{fill:var(--c);fill-opacity:.16;stroke:none}
.dot{fill:var(--c);stroke:var(--card);stroke-width:1}.hover{fill:transparent}.hover:hover{fill:var(--c)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:0 28px;margin:0;padding:10px 18px}
.facts div{display:flex;gap:14px;justify-content:space-between;padding:6px 0;font-size:.9rem;min-width:0}
.facts dt{color:var(--soft);flex-shrink:0}.facts dd{margin:0;text-align:right;overflow-wrap:anywhere;min-width:0}
.story{margin:0 0 12px;padding:0}
.story summary,details.config summary{cursor:pointer;padding:10px 18px;font-size:.85rem;color:var(--soft)}
.story summary b{color:var(--ink);margin-right:8px}
.story blockquote{margin:0;padding:2px 18px 16px;max-width:75ch;font:1.04rem/1.65 Georgia,"Times New Roman","DejaVu Serif",serif;white-space:pre-wrap;overflow-wrap:anywhere}
.story em{font-style:normal;color:var(--accent)}
details.config{margin-top:12px}
pre{margin:0;padding:0 18px 16px;font:.8rem/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;overflow-x:auto}
.none{color:var(--soft)}
@media print{body{background:#fff}.chart,.story{break-inside:avoid}}
)";

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
    add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n{}{}\">\n<title>{} - "
        "fabula</title>\n<style>{}</style>\n</head>\n"
        "<body>\n<main>\n",
        kStepMark, summary_.step, html_escape(summary_.title), kStyle);
    add("<header><div class=\"brand\">fabula training report</div><h1>{}</h1>", html_escape(summary_.title));
    if (!summary_.subtitle.empty()) add("<p>{}</p>", html_escape(summary_.subtitle));
    add("</header>\n");
    write_tiles();
    write_charts();
    write_samples();
    write_facts();
    add("</main>\n</body>\n</html>\n");
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
