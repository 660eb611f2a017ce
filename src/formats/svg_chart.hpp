#pragma once
#include <string>
#include <vector>

namespace fabula {

/// Colours that the page has for series.
inline constexpr int kChartColors = 8;

struct ChartPoint {
  double x = 0;
  double y = 0;  ///< not finite: the line is broken here
};

struct ChartSeries {
  std::string label;
  std::vector<ChartPoint> points;  ///< x rising
  int color = 0;                   ///< below kChartColors: the page's --series-N
  bool markers = false;            ///< few, separate measurements: each gets a dot
};

struct Chart {
  std::string title;
  std::string note;  ///< one line below the title; may be empty
  std::vector<ChartSeries> series;
  bool percent = false;    ///< y is a part of 1, shown in per cent from 0 to 100
  bool from_zero = false;  ///< the y axis starts at 0
  std::string x_label = "step";
  bool whole_x = true;  ///< x are whole numbers
};

/// A <figure> with title, legend with last values, and an inline SVG that scales with its column. Long series are drawn
/// as the mean of each of at most a few hundred buckets, in a band from the bucket's smallest to its largest value.
/// Empty text when no series has a finite point.
std::string chart_html(const Chart& chart);

struct ScatterPoint {
  std::string label;
  double x = 0, y = 0;
  double low = 0, high = 0;  ///< what y spreads over
  int color = 0;             ///< as ChartSeries::color
};

/// Separate things by two measures, of which a small y is good.
struct Scatter {
  std::string title, note, x_label;
  std::vector<ScatterPoint> points;
  bool log_x = false;          ///< for x above 0
  bool large_is_good = false;  ///< of x
};

/// A <figure> with every point, the labels that have a place of their own, and a line through the Pareto front: the
/// points that no other one beats in one measure without losing in the other. Points that are not finite are left out;
/// empty text when none is left.
std::string scatter_html(const Scatter& scatter);

/// The points of the front, by rising x.
std::vector<ScatterPoint> pareto_front(const Scatter& scatter);

/// "1.5", "0.00123", "4.2k", "1.3M": at most four significant digits.
std::string short_number(double value);

/// Round tick positions within [low, high], about `wanted` of them; low < high.
std::vector<double> axis_ticks(double low, double high, int wanted);

}  // namespace fabula
