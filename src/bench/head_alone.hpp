#pragma once
#include "bench/step_bench.hpp"

namespace fabula::bench {

/// Plans one graph: the head's loss of h [N, D], and the gradients of h and of all that the head multiplies with.
/// Nothing of the body is in it.
graph::Workload plan_head_alone(const graph::Target& target, const models::LanguageModel& model,
                                std::int64_t positions);

/// A head without its body on the device: forward and backward.
class HeadAloneBench {
 public:
  /// `workload` as plan_head_alone gives it. Throws kOutOfMemory before anything runs. The model must outlive this.
  HeadAloneBench(vk::Device& device, const models::LanguageModel& model, graph::Workload workload,
                 BenchBatches batches);

  /// Step `number`, counted from 1; its seconds, without the making of the batch.
  double step(std::int64_t number);

 private:
  const models::LanguageModel& model_;
  graph::Runtime runtime_;
  BenchBatches batches_;
};

}  // namespace fabula::bench
