#include "bench/rank_timeline.hpp"

#include <fmt/format.h>

#include <cmath>

#include "base/atomic_file.hpp"

namespace fabula::bench {
namespace {

constexpr double kWidth = 860, kLeft = 110, kLane = 22, kTop = 34;
constexpr const char *kStepColour = "#9aa5b1", *kSendColour = "#3b7dd8", *kAddColour = "#d9822b",
                     *kBackColour = "#2f9e6e";

class Picture {
 public:
  Picture(train::SumTimes::Point begin, train::SumTimes::Point end) : begin_(begin), length_(ms(end)) {}

  double ms(train::SumTimes::Point point) const {
    return std::chrono::duration<double, std::milli>(point - begin_).count();
  }
  void text(double x, double y, const std::string& content) {
    body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x, y, content);
  }
  void bar(double from, double to, int lane, const char* colour, const std::string& title) {
    body_ += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"><title>{}</title></rect>\n",
        x_of(from), y_of(lane), std::max(x_of(to) - x_of(from), 0.5), kLane - 6, colour, title);
  }
  /// A line every so many round milliseconds.
  void axis(int lanes) {
    const double rough = length_ / 8, power = std::pow(10, std::floor(std::log10(rough)));
    const double step = power * (rough / power < 2 ? 2 : rough / power < 5 ? 5 : 10);
    for (double at = 0; at <= length_; at += step) {
      body_ += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>\n",
                           x_of(at), kTop - 6, y_of(lanes));
      text(x_of(at), kTop - 10, fmt::format("{:g} ms", at));
    }
  }
  std::string svg(int lanes) const {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1:.0f}\" width=\"{0}\" "
        "font-family=\"sans-serif\" "
        "font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{2}</svg>\n",
        kWidth, y_of(lanes) + 10, body_);
  }

 private:
  double x_of(double milliseconds) const { return kLeft + (kWidth - kLeft - 20) * milliseconds / length_; }
  static double y_of(int lane) { return kTop + kLane * lane; }

  train::SumTimes::Point begin_;
  double length_;
  std::string body_;
};

}  // namespace

void write_timeline(const std::filesystem::path& path, std::span<const train::SumTimes> sums,
                    train::SumTimes::Point begin, train::SumTimes::Point end) {
  Picture picture(begin, end);
  const int lanes = static_cast<int>(sums.size()) + 1;
  picture.axis(lanes);
  picture.text(4, kTop + 12, "step");
  picture.bar(0, picture.ms(end), 0, kStepColour, fmt::format("{:.2f} ms", picture.ms(end)));
  int lane = 0;
  for (const train::SumTimes& sum : sums) {
    ++lane;
    picture.text(4, kTop + kLane * lane + 12, fmt::format("{:.2f} MiB", static_cast<double>(sum.bytes) / (1 << 20)));
    const double from = picture.ms(sum.begin), sent = picture.ms(sum.sent), added = picture.ms(sum.added),
                 over = picture.ms(sum.end);
    picture.bar(from, sent, lane, kSendColour, fmt::format("to their owners, {:.2f} ms", sent - from));
    picture.bar(sent, added, lane, kAddColour, fmt::format("added, {:.2f} ms", added - sent));
    picture.bar(added, over, lane, kBackColour, fmt::format("back, {:.2f} ms", over - added));
  }
  write_file_atomically(path, picture.svg(lanes));
}

}  // namespace fabula::bench
