#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "predict/work.hpp"
#include "tuning/device_speed.hpp"

namespace fabula::predict {

/// Bytes a second of a copy of so many bytes: between the sizes that were measured by their logarithm, beyond them as
/// the nearest.
double copy_rate(const tuning::DeviceSpeed& speed, double bytes);

/// Seconds that the roof allows for a node's work: its multiply-adds or its bytes, whichever take longer. What it reads
/// of the store comes from as far away as all that the graph reads there is large; the rest was just written.
double roof_seconds(const tuning::DeviceSpeed& speed, const NodeWork& node, const GraphWork& of);

/// Points brought into few, by rising work: medians over a factor of four.
std::vector<tuning::Efficiency> thinned(std::vector<tuning::Efficiency> points);

/// How near the roof a device's kernels come, for nodes that were measured and others.
class KernelTimes {
 public:
  /// The speed must outlive it.
  explicit KernelTimes(const tuning::DeviceSpeed& speed);

  const tuning::DeviceSpeed& speed() const { return speed_; }

  /// What a node takes, its launches' fixed cost included: by its own kernels' points, else by those of its op, else by
  /// the median of all kernels. Between points by the logarithm of the work; beyond them what the nearest takes, and
  /// the difference at the usual share of the roof.
  struct Time {
    double seconds = 0;
    double fixed = 0;      ///< of these, what its launches cost
    bool measured = true;  ///< false: neither its kernels nor its op were
  };
  Time time_of(const NodeWork& node, const GraphWork& of) const;

 private:
  double work_seconds(const NodeWork& node, double roof_seconds, bool* measured) const;

  const tuning::DeviceSpeed& speed_;
  std::map<std::string, std::vector<tuning::Efficiency>, std::less<>> by_op_;
  double median_share_ = 1;
};

}  // namespace fabula::predict
