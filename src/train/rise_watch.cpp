#include "train/rise_watch.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace fabula::train {
namespace {

constexpr double kFewSteps = 5, kSpreadSteps = 100, kManySteps = 1000;
constexpr double kLeastRise = 0.5;  // nats: a perplexity of 1.65 times the best
constexpr double kSpreads = 3;      // of single steps: some nine deviations of a mean of five
const double kNormRise = std::log(10.0);
constexpr double kSmallestNorm = 1e-30;  // a norm of 0 has no logarithm
constexpr const char* kNames[] = {"rise.steps",    "rise.loss_mean",      "rise.lowest_loss_mean", "rise.loss_spread",
                                  "rise.log_norm", "rise.usual_log_norm", "rise.loss_risen",       "rise.norm_risen"};

void take_in(double& mean, double value, double seen, double window) {
  mean += (value - mean) / std::min(seen, window);
}

// Once risen, half of the way back counts as risen still: a loss that hovers at the limit does not switch to and fro.
bool is_risen(bool before, double rise, double limit) {
  return rise > (before ? limit / 2 : limit);
}

}  // namespace

void RiseWatch::observe(double loss, double norm) {
  const double log_norm = std::log(std::max(norm, kSmallestNorm));
  const double distance = std::abs(loss - loss_mean_);
  ++steps_;
  take_in(loss_mean_, loss, steps_, kFewSteps);
  take_in(log_norm_, log_norm, steps_, kFewSteps);
  take_in(usual_log_norm_, log_norm, steps_, kManySteps);
  lowest_ = steps_ == 1 ? loss_mean_ : std::min(lowest_, loss_mean_);
  loss_risen_ = is_risen(loss_risen_, loss_mean_ - lowest_, std::max(kLeastRise, kSpreads * spread_));
  norm_risen_ = is_risen(norm_risen_, log_norm_ - usual_log_norm_, kNormRise);
  // A loss on its way up, or back, says nothing of how far steps usually lie apart.
  if (steps_ > 1 && !loss_risen_) take_in(spread_, distance, steps_ - 1, kSpreadSteps);
}

void RiseWatch::store(std::map<std::string, double>& measures) const {
  const double values[] = {steps_,
                           loss_mean_,
                           lowest_,
                           spread_,
                           log_norm_,
                           usual_log_norm_,
                           loss_risen_ ? 1.0 : 0.0,
                           norm_risen_ ? 1.0 : 0.0};
  for (std::size_t i = 0; i < std::size(kNames); ++i) measures[kNames[i]] = values[i];
}

void RiseWatch::restore(const std::map<std::string, double>& measures) {
  double values[std::size(kNames)] = {};
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    const auto it = measures.find(kNames[i]);
    if (it == measures.end()) return;
    values[i] = it->second;
  }
  steps_ = std::max(values[0], 0.0);
  loss_mean_ = values[1], lowest_ = values[2], spread_ = values[3];
  log_norm_ = values[4], usual_log_norm_ = values[5];
  loss_risen_ = values[6] != 0, norm_risen_ = values[7] != 0;
}

}  // namespace fabula::train
