#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/host_mirror.hpp"
#include "models/language_model.hpp"
#include "train/reducer.hpp"
#include "train/training_plan.hpp"

namespace fabula::train {

/// Sums of gradients over ranks go in buckets of about so many bytes, the first a small one, so that adding begins
/// early.
inline constexpr std::int64_t kFirstBucketBytes = 1 << 20, kBucketBytes = 16 << 20;

/// Rows of states with gradients, a list a bucket, in the order in which a gradient graph writes them for the last
/// time.
std::vector<std::vector<graph::StoredRows>> gradient_buckets(const graph::PlannedGraph& gradients);

/// The sum of what the ranks' gradient graphs have left in the store, put in its place on every rank. Memory: as much
/// as the gradients, on the host.
class GradientExchange {
 public:
  /// Talks to the other ranks: they learn whether rank 0's device takes subnormal numbers for zeros.
  GradientExchange(Reducer& reducer, graph::Runtime& runtime, const TrainingGraphs& graphs);
  /// Waits for sums that were left in their midst by an error: they work in memory of this.
  ~GradientExchange();

  Reducer& reducer() { return reducer_; }
  /// Starts the sums behind what was submitted, each as soon as its gradients are on the host; waits for the device.
  void start();
  /// Adds `more`, a few numbers of the host's, waits for all sums and submits the copies back to the device.
  void finish(std::span<float> more);

 private:
  struct Bucket {
    std::unique_ptr<graph::HostMirror> mirror;
    std::uint64_t sum = 0;  ///< under way; 0: none
  };
  void finish_sum(std::uint64_t& sum);
  Reducer& reducer_;
  std::vector<Bucket> buckets_;
  std::vector<float> more_;  ///< of finish
  std::uint64_t more_sum_ = 0;
};

}  // namespace fabula::train
