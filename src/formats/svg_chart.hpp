#pragma once
#include <string>
#include <vector>

namespace fabula {

struct ChartPoint {
  double x = 0;  ///< step
  double y = 0;  ///< not finite: the line is broken here
};

struct ChartSeries {
  std::string label;
  std::vector<ChartPoint> points;  ///< x rising
  int color = 0;                   ///< 0 to 3: the page's --series-N
  bool markers = false;            ///< few, separate measurements: each gets a dot
};

struct Chart {
  std::string title;
  std::string note;  ///< one line below the title; may be empty
  std::vector<ChartSeries> series;
  bool percent = false;    ///< y is a part of 1, shown in per cent from 0 to 100
  bool from_zero = false;  ///< the y axis starts at 0
};

/// A <figure> with title, legend with last values, and an inline SVG that scales with its column. Long series are drawn
/// as the mean of each of at most a few hundred buckets, in a band from the bucket's smallest to its largest value.
/// Empty text when no series has a finite point.
std::string chart_html(const Chart& chart);

/// "1.5", "0.00123", "4.2k", "1.3M": at most four significant digits.
std::string short_number(double value);

/// Round tick positions within [low, high], about `wanted` of them; low < high.
std::vector<double> axis_ticks(double low, double high, int wanted);

}  // namespace fabula
