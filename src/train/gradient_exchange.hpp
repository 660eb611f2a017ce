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

/// Rows of states with gradients that are summed together.
struct GradientBucket {
  std::vector<graph::StoredRows> rows;
  std::int32_t last_writer = -1;  ///< node of the gradient graph behind which all of them are final
};
/// All of them, in the order in which a gradient graph writes them for the last time.
std::vector<GradientBucket> gradient_buckets(const graph::Graph& gradients);

/// The sum of what the ranks' gradient graphs have left in the store, put in its place on every rank. Memory: as much
/// as the gradients, on the host.
class GradientExchange {
 public:
  /// Talks to the other ranks: they learn whether rank 0's device takes subnormal numbers for zeros.
  GradientExchange(Reducer& reducer, graph::Runtime& runtime, const TrainingGraphs& graphs);
  /// Waits for sums that were left in their midst by an error: they work in memory of this.
  ~GradientExchange();

  Reducer& reducer() { return reducer_; }
  /// Submits the graphs, the last of a step's, and a copy of each bucket behind its last writer; starts the sums of
  /// those that are on the host meanwhile.
  void submit(std::span<const std::size_t> graphs);
  /// Starts those that are left; waits for the device.
  void start_rest() { start_until(buckets_.size()); }
  /// Adds `more`, a few numbers of the host's, waits for all sums and submits the copies back to the device.
  void finish(std::span<float> more);

 private:
  struct Bucket {
    std::unique_ptr<graph::HostMirror> mirror;
    std::size_t part = 0;   ///< of the gradient graph, behind which it is copied
    std::uint64_t sum = 0;  ///< under way; 0: none
  };
  void fetch_behind(std::size_t part);
  void start_until(std::size_t end);
  void finish_sum(std::uint64_t& sum);
  Reducer& reducer_;
  graph::Runtime& runtime_;
  std::size_t gradients_;  ///< the graph that comes last in a step, unless sums that are held follow it
  std::vector<Bucket> buckets_;
  std::size_t fetched_ = 0, started_ = 0;  ///< buckets, in this step
  std::vector<float> more_;                ///< of finish
  std::uint64_t more_sum_ = 0;
};

}  // namespace fabula::train
