#include "convert/minimise.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

namespace fabula::convert {
namespace {

constexpr std::size_t kRemembered = 12;
constexpr int kHalvings = 30;
constexpr double kEnough = 1e-4;  // of the decrease that the slope promises (Armijo)

using Point = std::vector<double>;

double dot_of(const Point& left, const Point& right) {
  return std::inner_product(left.begin(), left.end(), right.begin(), 0.0);
}
/// to += factor * from
void add_times(double factor, const Point& from, Point& to) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * from[i];
}

/// The last steps and what they did to the gradient.
class History {
 public:
  void add_pair(Point step, Point change) {
    const double curvature = dot_of(step, change);
    if (!(curvature > 1e-12 * dot_of(change, change))) return;
    pairs_.push_back({std::move(step), std::move(change), 1 / curvature});
    if (pairs_.size() > kRemembered) pairs_.pop_front();
  }
  /// Minus the gradient times what is known of the inverse of the second derivatives.
  Point direction(const Point& gradient) const {
    Point d(gradient.size());
    add_times(-1, gradient, d);
    std::vector<double> weights;
    for (auto pair = pairs_.rbegin(); pair != pairs_.rend(); ++pair) {
      weights.push_back(pair->inverse * dot_of(pair->step, d));
      add_times(-weights.back(), pair->change, d);
    }
    if (!pairs_.empty()) {
      const double scale = 1 / (pairs_.back().inverse * dot_of(pairs_.back().change, pairs_.back().change));
      for (double& number : d) number *= scale;
    }
    auto weight = weights.rbegin();
    for (const Pair& pair : pairs_) add_times(*weight++ - pair.inverse * dot_of(pair.change, d), pair.step, d);
    return d;
  }
  bool empty() const { return pairs_.empty(); }

 private:
  struct Pair {
    Point step, change;
    double inverse;
  };
  std::deque<Pair> pairs_;
};

}  // namespace

Point minimise(const std::function<double(std::span<const double>, std::span<double>)>& cost, Point x, int most_steps,
               const std::function<bool(int, std::span<const double>)>& go_on) {
  Point gradient(x.size()), next_gradient(x.size());
  double value = cost(x, gradient);
  History history;
  for (int step = 1; step <= most_steps; ++step) {
    Point d = history.direction(gradient);
    double slope = dot_of(d, gradient);
    if (!(slope < 0)) return x;
    double length = history.empty() ? std::min(1.0, 1 / std::sqrt(-slope)) : 1;
    Point next;
    double next_value = value;
    int halvings = 0;
    for (; halvings < kHalvings; ++halvings, length /= 2) {
      next = x;
      add_times(length, d, next);
      next_value = cost(next, next_gradient);
      if (next_value <= value + kEnough * length * slope) break;
    }
    if (halvings == kHalvings) return x;
    for (double& number : d) number *= length;
    Point change = next_gradient;
    add_times(-1, gradient, change);
    history.add_pair(std::move(d), std::move(change));
    x = std::move(next);
    std::swap(gradient, next_gradient);
    value = next_value;
    if (go_on && !go_on(step, x)) return x;
  }
  return x;
}

}  // namespace fabula::convert
