#include "predict/kernel_times.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "base/median.hpp"

namespace fabula::predict {
namespace {

using tuning::Efficiency;

/// At `x`, linear in the logarithms between points of rising x; beyond them as the nearest.
template <class Point>
double between(const std::vector<Point>& points, double x, double Point::*at, double Point::*value) {
  ensure(!points.empty(), "no points to go by");
  if (x <= points.front().*at) return points.front().*value;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const Point &low = points[i - 1], &high = points[i];
    if (x > high.*at) continue;
    const double part = std::log(x / (low.*at)) / std::log((high.*at) / (low.*at));
    return std::exp(std::log(low.*value) * (1 - part) + std::log(high.*value) * part);
  }
  return points.back().*value;
}

/// What work takes that the roof allows so many seconds for. Beyond the points a kernel takes what the nearest one did,
/// and works off the difference at its share, or at `usual` where that is higher: a small one was measured waiting, and
/// more work is done while it waits.
double seconds_at(const std::vector<Efficiency>& points, double seconds, double usual) {
  const Efficiency& nearest = seconds < points.front().roof_seconds ? points.front() : points.back();
  if (seconds >= points.front().roof_seconds && seconds <= points.back().roof_seconds)
    return seconds / between(points, seconds, &Efficiency::roof_seconds, &Efficiency::share);
  return nearest.roof_seconds / nearest.share + (seconds - nearest.roof_seconds) / std::max(nearest.share, usual);
}

}  // namespace

double copy_rate(const tuning::DeviceSpeed& speed, double bytes) {
  return between(speed.copies, std::max(bytes, 1.0), &tuning::CopyRate::bytes, &tuning::CopyRate::per_second);
}

double roof_seconds(const tuning::DeviceSpeed& speed, const NodeWork& node, const GraphWork& of) {
  const double moving =
      node.stored_bytes / copy_rate(speed, of.stored_bytes) + node.other_bytes / copy_rate(speed, node.other_bytes);
  return std::max(node.flops / speed.flops.value, moving);
}

std::vector<Efficiency> thinned(std::vector<Efficiency> points) {
  constexpr double kWidth = 4;
  std::sort(points.begin(), points.end(),
            [](const Efficiency& a, const Efficiency& b) { return a.roof_seconds < b.roof_seconds; });
  std::vector<Efficiency> few;
  for (std::size_t begin = 0, end = 0; begin < points.size(); begin = end) {
    std::vector<double> seconds, shares;
    for (; end < points.size() && points[end].roof_seconds < kWidth * points[begin].roof_seconds; ++end) {
      seconds.push_back(points[end].roof_seconds);
      shares.push_back(points[end].share);
    }
    few.push_back({median(seconds), median(shares)});
  }
  return few;
}

KernelTimes::KernelTimes(const tuning::DeviceSpeed& speed) : speed_(speed) {
  std::vector<double> shares;
  for (const auto& [key, points] : speed.kernels) {
    std::vector<Efficiency>& of_op = by_op_[key.substr(0, key.find(' '))];
    of_op.insert(of_op.end(), points.begin(), points.end());
    shares.push_back(points.back().share);
  }
  for (auto& [op, points] : by_op_) points = thinned(std::move(points));
  if (!shares.empty()) median_share_ = median(shares);
}

double KernelTimes::work_seconds(const NodeWork& node, double seconds, bool* measured) const {
  *measured = true;
  if (const auto own = speed_.kernels.find(node.key); own != speed_.kernels.end())
    return seconds_at(own->second, seconds, median_share_);
  if (const auto op = by_op_.find(node.op); op != by_op_.end()) return seconds_at(op->second, seconds, median_share_);
  *measured = false;
  return seconds / median_share_;
}

KernelTimes::Time KernelTimes::time_of(const NodeWork& node, const GraphWork& of) const {
  Time time;
  const double seconds = roof_seconds(speed_, node, of);
  time.fixed = node.launches * speed_.launch.value;
  time.seconds = time.fixed + work_seconds(node, seconds, &time.measured);
  return time;
}

}  // namespace fabula::predict
