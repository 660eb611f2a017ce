#include "formats/svg_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>

#include "formats/html.hpp"

namespace fabula {
namespace {

// Units of the drawing's viewBox; the page scales it.
constexpr double kWidth = 640;
constexpr double kHeight = 280;
constexpr double kLeft = 58;
constexpr double kRight = 14;
constexpr double kTop = 12;
constexpr double kBottom = 40;
constexpr std::size_t kMaxBuckets = 320;
constexpr std::size_t kMaxHoverPoints = 100;
constexpr std::size_t kMaxLogTicks = 9;

struct Bucket {
  double x = 0;
  double mean = 0;
  double low = 0;
  double high = 0;
};

// Runs of finite points, each cut into buckets of equally many points.
std::vector<std::vector<Bucket>> bucket_runs(const std::vector<ChartPoint>& points) {
  const std::size_t per_bucket = points.size() / kMaxBuckets + 1;
  std::vector<std::vector<Bucket>> runs;
  bool open = false;
  std::size_t filled = 0;
  for (const ChartPoint& point : points) {
    if (!std::isfinite(point.y)) {
      open = false;
      continue;
    }
    if (!open) {
      runs.emplace_back();
      open = true;
      filled = 0;
    }
    if (filled % per_bucket == 0) {
      runs.back().push_back({point.x, point.y, point.y, point.y});
      filled = 1;
      continue;
    }
    Bucket& bucket = runs.back().back();
    ++filled;
    const double share = 1.0 / static_cast<double>(filled);
    bucket.x += (point.x - bucket.x) * share;
    bucket.mean += (point.y - bucket.mean) * share;
    bucket.low = std::min(bucket.low, point.y);
    bucket.high = std::max(bucket.high, point.y);
    filled %= per_bucket;
  }
  return runs;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
  // A range of some width, so that a single value has an axis around it.
  void widen(double part) {
    const double span = high - low;
    const double margin = span > 0 ? span * part : std::max(std::abs(high) * 0.1, 1e-9);
    low -= margin;
    high += margin;
  }
};

// A drawing with two axes, and the page's text so far.
class Plot {
 protected:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(html_), format, std::forward<Args>(args)...);
  }

  double px(double x) const {
    const auto at = [this](double value) { return log_x_ ? std::log10(value) : value; };
    return kLeft + (at(x) - at(x_.low)) / (at(x_.high) - at(x_.low)) * (kWidth - kLeft - kRight);
  }
  double py(double y) const {
    return kHeight - kBottom - (y - y_.low) / (y_.high - y_.low) * (kHeight - kTop - kBottom);
  }

  void open_svg(const std::string& label) {
    add("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight, html_escape(label));
  }

  // 1, 2 and 5 of every power of ten, or what of them is not too many.
  std::vector<double> log_ticks() const {
    std::vector<double> ticks, powers;
    for (double power = std::pow(10, std::floor(std::log10(x_.low))); power <= x_.high; power *= 10)
      for (const double factor : {1.0, 2.0, 5.0})
        if (const double tick = factor * power; tick >= x_.low && tick <= x_.high) {
          ticks.push_back(tick);
          if (factor == 1) powers.push_back(tick);
        }
    if (ticks.size() < 2) return axis_ticks(x_.low, x_.high, 6);
    return ticks.size() > kMaxLogTicks ? powers : ticks;
  }

  void write_axes(const std::string& x_label, bool whole_x, bool percent_y) {
    for (const double tick : axis_ticks(y_.low, y_.high, 5)) {
      add("<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text class=\"y\" x=\"{3}\" "
          "y=\"{4:.1f}\">{5}</text>",
          kLeft, kWidth - kRight, py(tick), kLeft - 8, py(tick) + 4,
          percent_y ? fmt::format("{:.0f} %", 100 * tick) : short_number(tick));
    }
    const double base = kHeight - kBottom;
    add("<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>", kLeft, kWidth - kRight, base, base);
    for (const double tick : log_x_ ? log_ticks() : axis_ticks(x_.low, x_.high, 6)) {
      if (whole_x && tick != std::floor(tick)) continue;
      add("<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text class=\"x\" x=\"{0:.1f}\" "
          "y=\"{3}\">{4}</text>",
          px(tick), base, base + 4, base + 17, short_number(tick));
    }
    add("<text class=\"x\" x=\"{}\" y=\"{}\">{}</text>", (kLeft + kWidth - kRight) / 2, kHeight - 5,
        html_escape(x_label));
  }

  Range x_, y_;
  bool log_x_ = false;
  std::string html_;
};

class ChartWriter : Plot {
 public:
  explicit ChartWriter(const Chart& chart) : chart_(chart) {
    for (const ChartSeries& series : chart.series) runs_.push_back(bucket_runs(series.points));
    find_ranges();
  }

  bool empty() const { return x_.empty(); }

  std::string write() {
    add("<figure class=\"chart\"><figcaption><h3>{}</h3>", html_escape(chart_.title));
    write_legend();
    if (!chart_.note.empty()) add("<p>{}</p>", html_escape(chart_.note));
    add("</figcaption>");
    open_svg(chart_.title + " by " + chart_.x_label);
    write_axes(chart_.x_label, chart_.whole_x, chart_.percent);
    for (std::size_t i = 0; i < runs_.size(); ++i) write_series(chart_.series[i], runs_[i]);
    add("</svg></figure>\n");
    return std::move(html_);
  }

 private:
  void find_ranges() {
    for (const auto& runs : runs_) {
      for (const auto& run : runs) {
        for (const Bucket& bucket : run) {
          x_.include(bucket.x);
          y_.include(bucket.low);
          y_.include(bucket.high);
        }
      }
    }
    if (x_.empty()) return;
    x_.low = std::min(x_.low, 0.0);
    if (x_.high <= x_.low) x_.high = x_.low + 1;
    y_.widen(0.05);
    if (chart_.from_zero || chart_.percent) y_.low = 0;
    if (chart_.percent) y_.high = 1;
    if (y_.high <= y_.low) y_.high = y_.low + 1;
  }

  std::string value_text(double y) const { return chart_.percent ? fmt::format("{:.1f} %", 100 * y) : short_number(y); }

  void write_legend() {
    add("<ul class=\"legend\">");
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      if (runs_[i].empty()) continue;
      const ChartSeries& series = chart_.series[i];
      const auto last = std::find_if(series.points.rbegin(), series.points.rend(),
                                     [](const ChartPoint& p) { return std::isfinite(p.y); });
      add("<li><i class=\"c{}\"></i>{} <b>{}</b></li>", series.color, html_escape(series.label), value_text(last->y));
    }
    add("</ul>");
  }

  void write_series(const ChartSeries& series, const std::vector<std::vector<Bucket>>& runs) {
    std::size_t buckets = 0;
    for (const auto& run : runs) {
      buckets += run.size();
      write_band(series, run);
      add("<path class=\"line c{}\" d=\"", series.color);
      for (std::size_t i = 0; i < run.size(); ++i)
        add("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", px(run[i].x), py(run[i].mean));
      if (run.size() == 1) add("h0.1");  // a lone point still shows, as a round cap
      add("\"/>");
    }
    const std::size_t every = series.markers ? 1 : buckets / kMaxHoverPoints + 1;
    std::size_t index = 0;
    for (const auto& run : runs) {
      for (const Bucket& bucket : run) {
        if (index++ % every != 0) continue;
        add("<circle class=\"{} c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}, {} {}: {}</title></circle>",
            series.markers ? "dot" : "hover", series.color, px(bucket.x), py(bucket.mean), series.markers ? 2.8 : 5,
            html_escape(series.label), html_escape(chart_.x_label),
            chart_.whole_x ? fmt::format("{:.0f}", bucket.x) : short_number(bucket.x), value_text(bucket.mean));
      }
    }
  }

  void write_band(const ChartSeries& series, const std::vector<Bucket>& run) {
    const bool has_width = std::any_of(run.begin(), run.end(), [](const Bucket& b) { return b.high > b.low; });
    if (!has_width || run.size() < 2) return;
    add("<path class=\"band c{}\" d=\"", series.color);
    for (std::size_t i = 0; i < run.size(); ++i)
      add("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", px(run[i].x), py(run[i].high));
    for (std::size_t i = run.size(); i-- > 0;) add("L{:.1f} {:.1f}", px(run[i].x), py(run[i].low));
    add("Z\"/>");
  }

  const Chart& chart_;
  std::vector<std::vector<std::vector<Bucket>>> runs_;  // [series][run][bucket]
};

class ScatterWriter : Plot {
 public:
  explicit ScatterWriter(const Scatter& scatter) : scatter_(scatter) {
    log_x_ = scatter.log_x;
    for (const ScatterPoint& point : scatter.points) {
      if (!is_shown(scatter, point)) continue;
      points_.push_back(point);
      x_.include(point.x);
      for (const double y : {point.y, point.low, point.high}) y_.include(y);
    }
    if (points_.empty()) return;
    if (log_x_) {
      x_.low /= 1.3;
      x_.high *= 1.3;
    } else {
      x_.widen(0.08);
      x_.low = std::max(x_.low, 0.0);
    }
    y_.widen(0.08);
  }

  bool empty() const { return points_.empty(); }

  std::string write() {
    add("<figure class=\"chart\"><figcaption><h3>{}</h3>", html_escape(scatter_.title));
    if (!scatter_.note.empty()) add("<p>{}</p>", html_escape(scatter_.note));
    add("</figcaption>");
    open_svg(scatter_.title);
    write_axes(scatter_.x_label, false, false);
    write_front();
    for (const ScatterPoint& point : points_) taken_.push_back(box_at(px(point.x) - 4, py(point.y) - 4, 8));
    for (const ScatterPoint& point : points_) write_point(point);
    add("</svg></figure>\n");
    return std::move(html_);
  }

  static bool is_shown(const Scatter& scatter, const ScatterPoint& point) {
    return std::isfinite(point.x) && std::isfinite(point.y) && (point.x > 0 || !scatter.log_x);
  }

 private:
  static constexpr double kLabelHeight = 11, kLetter = 6.4;  // of a label, about
  static constexpr double kPiece = 6;                        // of the front, that labels keep away from
  struct Box {
    double left, top, right, bottom;
    bool meets(const Box& other) const {
      return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
    }
  };
  static Box box_at(double left, double top, double width) { return {left, top, left + width, top + kLabelHeight}; }

  void write_front() {
    const std::vector<ScatterPoint> front = pareto_front(scatter_);
    add("<path class=\"front\" d=\"");
    for (std::size_t i = 0; i < front.size(); ++i) {
      const double x = px(front[i].x), y = py(front[i].y);
      add("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", x, y);
      if (i == 0) continue;
      const double from_x = px(front[i - 1].x), from_y = py(front[i - 1].y);
      const int pieces = 1 + static_cast<int>(std::hypot(x - from_x, y - from_y) / kPiece);
      for (int piece = 0; piece <= pieces; ++piece) {
        const double part = static_cast<double>(piece) / pieces;
        taken_.push_back({from_x + part * (x - from_x) - 1, from_y + part * (y - from_y) - 1,
                          from_x + part * (x - from_x) + 1, from_y + part * (y - from_y) + 1});
      }
    }
    add("\"/>");
  }

  // Beside the point, where nothing else is. Among many points not every one has such a place: its name shows when the
  // pointer is on it.
  std::optional<Box> place_label(double x, double y, double width) {
    const Box wanted[] = {box_at(x + 5, y - 17, width),         box_at(x + 7, y - 6, width),
                          box_at(x + 5, y + 6, width),          box_at(x - 5 - width, y - 17, width),
                          box_at(x - 7 - width, y - 6, width),  box_at(x - 5 - width, y + 6, width),
                          box_at(x - width / 2, y - 18, width), box_at(x - width / 2, y + 7, width)};
    for (const Box& box : wanted) {
      const bool inside =
          box.left >= kLeft && box.right <= kWidth - kRight && box.top >= 0 && box.bottom <= kHeight - kBottom;
      if (inside && std::none_of(taken_.begin(), taken_.end(), [&](const Box& other) { return box.meets(other); }))
        return box;
    }
    return std::nullopt;
  }

  void write_point(const ScatterPoint& point) {
    const double x = px(point.x), y = py(point.y);
    if (point.high > point.low)
      add("<line class=\"spread c{0}\" x1=\"{1:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{3:.1f}\"/>", point.color, x,
          py(point.low), py(point.high));
    add("<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"><title>{}: {}, {}</title></circle>", point.color,
        x, y, html_escape(point.label), short_number(point.x), short_number(point.y));
    const std::optional<Box> place = place_label(x, y, kLetter * static_cast<double>(point.label.size()));
    if (!place) return;
    taken_.push_back(*place);
    add("<text class=\"point\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", taken_.back().left, taken_.back().bottom - 2,
        html_escape(point.label));
  }

  const Scatter& scatter_;
  std::vector<ScatterPoint> points_;
  std::vector<Box> taken_;
};

}  // namespace

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size >= 1e9) return fmt::format("{:.4g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

std::vector<double> axis_ticks(double low, double high, int wanted) {
  const double rough = (high - low) / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough * 0.999) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  constexpr int kMost = 50;  // rounding cannot make this loop long
  const double first = std::ceil(low / step - 1e-9);
  for (int i = 0; i < kMost; ++i) {
    const double tick = (first + i) * step;
    if (!(tick <= high + step * 1e-9)) break;
    ticks.push_back(tick == 0 ? 0 : tick);  // no minus zero
  }
  return ticks;
}

std::string chart_html(const Chart& chart) {
  ChartWriter writer(chart);
  return writer.empty() ? std::string() : writer.write();
}

std::string scatter_html(const Scatter& scatter) {
  ScatterWriter writer(scatter);
  return writer.empty() ? std::string() : writer.write();
}

std::vector<ScatterPoint> pareto_front(const Scatter& scatter) {
  std::vector<ScatterPoint> points, front;
  for (const ScatterPoint& point : scatter.points)
    if (ScatterWriter::is_shown(scatter, point)) points.push_back(point);
  // From the best x on, the next point of the front is the first with a smaller y.
  std::stable_sort(points.begin(), points.end(), [&](const ScatterPoint& a, const ScatterPoint& b) {
    if (a.x == b.x) return a.y < b.y;
    return scatter.large_is_good ? a.x > b.x : a.x < b.x;
  });
  for (ScatterPoint& point : points)
    if (front.empty() || point.y < front.back().y) front.push_back(std::move(point));
  if (scatter.large_is_good) std::reverse(front.begin(), front.end());
  return front;
}

}  // namespace fabula
