#include "formats/report.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "expect_error.hpp"
#include "formats/html.hpp"
#include "formats/svg_chart.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

RunSummary some_run() {
  RunSummary summary;
  summary.title = "run <1> & \"more\"";
  summary.subtitle = "GPT-2 body";
  summary.facts = {{"Device", "<i>llvmpipe</i>"}};
  summary.config_json = "{\"a\": \"</pre>\"}";
  for (int step = 1; step <= 40; ++step) {
    summary.records.push_back({"train",
                               step,
                               {{"loss", 10.0 / step},
                                {"learning_rate", 1e-3},
                                {"grad_norm", 1},
                                {"group_accuracy", 0.5},
                                {"token_accuracy", 0.25},
                                {"tokens_per_second", 1000},
                                {"tokens_seen", 512.0 * step}},
                               {}});
  }
  summary.records.push_back({"eval", 20, {{"loss", 2.0}, {"group_accuracy", 0.5}}, {}});
  summary.records.push_back({"eval", 40, {{"loss", 3.0}, {"group_accuracy", 0.75}}, {}});
  summary.records.push_back(
      {"sample", 40, {}, {{"prompt", "Once"}, {"text", " </script><script>alert(1)</script> \xFF & 'x'"}}});
  return summary;
}

TEST(Html, EscapesMarkupAndRepairsUtf8) {
  EXPECT_EQ(html_escape("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  EXPECT_EQ(html_escape("é€😀\n\t"), "é€😀\n\t");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(html_escape("\xFF\xC0\x80"), bad + bad + bad);  // never valid; overlong
  EXPECT_EQ(html_escape("\xED\xA0\x80"), bad + bad + bad);  // a surrogate
  EXPECT_EQ(html_escape(std::string("a\0\x1B", 3)), "a" + bad + bad);
  EXPECT_EQ(html_escape("\xF0\x9F\x98"), bad + bad + bad);  // cut short
}

TEST(Report, APerplexityBeyondAMillionIsAPower) {
  RunSummary summary;
  summary.records.push_back({"eval", 1, {{"loss", 13.0}}, {}});
  EXPECT_NE(report_html(summary).find("<b>442.4k</b><small>per token"), std::string::npos) << report_html(summary);
  summary.records.front().values["loss"] = 639;
  EXPECT_NE(report_html(summary).find("<b>3.27e+277</b><small>per token"), std::string::npos);
}

TEST(Report, ShowsEveryPartAndEscapesAllTexts) {
  const std::string html = report_html(some_run());
  for (const char* part : {"run &lt;1&gt; &amp; &quot;more&quot;", "&lt;i&gt;llvmpipe&lt;/i&gt;", "&lt;/pre&gt;",
                           "<em>Once</em>", "&lt;/script&gt;&lt;script&gt;alert(1)", "Step 40", "<b>2.000</b>",
                           "step 20", "<b>7.389</b>", "<b>75.0 %</b>", "20.48k tokens", "prefers-color-scheme:dark"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(count(html, "<svg"), 6u);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos);  // nothing from elsewhere
  EXPECT_EQ(html.find("\xFF"), std::string::npos);
  EXPECT_EQ(count(html, "nan"), 0u);
  EXPECT_EQ(count(html, "inf"), 0u);
}

TEST(Report, EmptyAndBrokenRunsHaveAPageToo) {
  RunSummary summary;
  summary.title = "empty";
  EXPECT_NE(report_html(summary).find("Nothing is measured yet"), std::string::npos);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  summary.records = {{"train", 1, {{"loss", nan}, {"tokens_per_second", nan}}, {}}, {"eval", 1, {{"loss", nan}}, {}}};
  EXPECT_EQ(count(report_html(summary), "<svg"), 0u);
  summary.records.push_back({"train", 2, {{"loss", 5}}, {}});  // a single point
  const std::string html = report_html(summary);
  EXPECT_EQ(count(html, "<svg"), 1u);
  EXPECT_EQ(count(html, "nan "), 0u);
}

TEST(Report, IsWrittenInPlace) {
  test::TempDir dir;
  write_report(dir / "report.html", some_run());
  EXPECT_EQ(read_file(dir / "report.html"), report_html(some_run()));
  RunSummary later = some_run();
  later.step = 1234567;
  write_report(dir / "later.html", later);
  EXPECT_EQ(report_step(dir / "later.html"), 1234567);
  EXPECT_EQ(report_step(dir / "missing.html"), std::nullopt);
  write_file_atomically(dir / "other.html", "<!doctype html><html></html>");
  EXPECT_EQ(report_step(dir / "other.html"), std::nullopt);
  test::expect_error(ErrorCode::kIo, {"none"}, [&] { write_report(dir / "none/report.html", some_run()); });
}

TEST(Chart, TicksAreRoundAndInside) {
  EXPECT_EQ(axis_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(2.7, 11.9, 5), (std::vector<double>{4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  for (const auto& [low, high] : {std::pair(0.0, 1e-12), {1e15, 1e15 + 64}, {-3e5, 7e8}, {0.0, 5e-324}}) {
    for (const double tick : axis_ticks(low, high, 5)) {
      EXPECT_GE(tick, low - (high - low) * 1e-6);
      EXPECT_LE(tick, high + (high - low) * 1e-6);
    }
    EXPECT_LE(axis_ticks(low, high, 5).size(), 50u);
  }
}

TEST(Chart, NumbersAreShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.001234567), "0.001235");
  EXPECT_EQ(short_number(1234), "1234");
  EXPECT_EQ(short_number(14745600), "14.75M");
  EXPECT_EQ(short_number(-25000), "-25k");
}

TEST(Chart, LongSeriesAreThinnedWithTheirExtremes) {
  Chart chart{"Loss", "", {{"train", {}, 0, false}}};
  for (int i = 0; i < 100000; ++i) chart.series[0].points.push_back({static_cast<double>(i), i == 50001 ? 9.0 : 1.0});
  const std::string html = chart_html(chart);
  EXPECT_LT(html.size(), 60000u);
  EXPECT_NE(html.find("class=\"band"), std::string::npos);
  EXPECT_NE(html.find(">8<"), std::string::npos) << "the axis reaches the one high value";
}

TEST(Chart, ANonFiniteValueBreaksTheLine) {
  const double nan = std::nan("");
  const Chart chart{"Loss", "", {{"train", {{0, 1}, {1, 2}, {2, nan}, {3, 2}, {4, 1}}, 0, false}}};
  EXPECT_EQ(count(chart_html(chart), "class=\"line"), 2u);
}

TEST(Scatter, TheFrontIsWhatNoOtherPointBeats) {
  const double nan = std::nan("");
  Scatter scatter{
      .title = "t",
      .note = {},
      .x_label = "MiB",
      .points = {
          {"dear", 9, 1}, {"beaten", 8, 5}, {"middle", 4, 3}, {"cheap", 2, 7}, {"equal", 4, 4}, {"none", nan, 1}}};
  const auto names = [&] {
    std::vector<std::string> result;
    for (const ScatterPoint& point : pareto_front(scatter)) result.push_back(point.label);
    return result;
  };
  EXPECT_EQ(names(), (std::vector<std::string>{"cheap", "middle", "dear"}));
  scatter.large_is_good = true;
  EXPECT_EQ(names(), (std::vector<std::string>{"dear"}));
  scatter.points.push_back({"fast", 20, 2});
  EXPECT_EQ(names(), (std::vector<std::string>{"dear", "fast"}));
}

TEST(Scatter, LabelsHavePlacesOfTheirOwnAndEveryPointATitle) {
  Scatter scatter{.title = "a < b", .note = {}, .x_label = "logits", .points = {}, .log_x = true};
  EXPECT_EQ(scatter_html(scatter), "");
  for (int i = 0; i < 6; ++i)
    scatter.points.push_back({"row <" + std::to_string(i) + ">", 100.0 + i, 8.5 + 0.001 * i, 8.4, 8.6, i});
  scatter.points.push_back({"far", 50257, 8, 8, 8, 7});
  scatter.points.push_back({"not on a logarithm", 0, 8, 8, 8, 7});
  const std::string html = scatter_html(scatter);
  EXPECT_EQ(count(html, "<circle class=\"dot"), 7u);
  EXPECT_EQ(count(html, "class=\"spread"), 6u);
  EXPECT_EQ(count(html, "not on a logarithm"), 0u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(count(html, "<title>row &lt;" + std::to_string(i) + "&gt;: "), 1u);
  EXPECT_NE(html.find("row &lt;0&gt;</text>"), std::string::npos);
  EXPECT_NE(html.find("far</text>"), std::string::npos);
  EXPECT_NE(html.find(">10k<"), std::string::npos);  // a power of ten between the points
  std::set<std::string> places;
  for (std::size_t at = html.find("class=\"point\""); at != html.npos; at = html.find("class=\"point\"", at + 1))
    places.insert(html.substr(at, html.find('>', at) - at));
  EXPECT_EQ(places.size(), count(html, "class=\"point\""));
  EXPECT_LT(places.size(), 7u) << "six points in one place, and a name beside each";
}

}  // namespace
}  // namespace fabula
