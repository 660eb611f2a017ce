#pragma once
#include <span>

#include "formats/table.hpp"
#include "predict/model_time.hpp"

// What several processes that train one model would reach: predicted from what a step takes alone and what bytes take
// on their way.
namespace fabula::predict {

/// Bytes a second on the way of a gradient, of each rank by itself, both ways at once where there are two.
struct GradientWay {
  double copy_out = 0, copy_back = 0;  ///< between device and host; 0: as good as nothing
  double host = 0;                     ///< between processes of a host: shared by all of its ranks
  double network = 0;                  ///< of a host, shared by its ranks; 0: there is one host
  double sum = 0;                      ///< adding on the host, bytes that are read
  double message = 20e-6;              ///< seconds that a message takes however short it is
};

/// Gradients of a step, in bytes as they lie on the device.
struct GradientBytes {
  double early = 0;  ///< final while the backward pass still has work to do
  double late = 0;   ///< of what the pass ends with, the table of embeddings above all: nothing hides them
};
GradientBytes gradient_bytes(const models::LanguageModel& model);

struct Ranks {
  int count = 1, per_host = 8;
  double wire_share = 1;  ///< of a gradient's bytes that travel: 1 in fp32, 0.5 in 16 bits
  int hosts() const { return (count + per_host - 1) / per_host; }
};

/// A step of every rank together. Times are of one rank; the phases run beside each other, by buckets.
struct RankPrediction {
  double compute = 0;                                     ///< what the step takes alone
  double copy_out = 0, wire = 0, sum = 0, copy_back = 0;  ///< were each alone, over all gradients
  double exposed = 0;                                     ///< of these, what the step waits for
  double seconds() const { return compute + exposed; }
  double efficiency() const { return compute / seconds(); }
};

/// `hidden`: seconds of the step's last backward pass beside which gradients travel; 0: they follow it, as they do
/// where a rank holds sums of four micro-batches and more.
RankPrediction predict_ranks(double step_seconds, double hidden, const GradientBytes& bytes, const Ranks& ranks,
                             const GradientWay& way);

/// How fast this host copies and adds: the shared part of a GradientWay, measured in some hundredths of a second.
void measure_host(GradientWay& way);

/// A row for each number of ranks. `tokens`: of a step of one.
Table rank_table(double step_seconds, double hidden, double tokens, const GradientBytes& bytes,
                 std::span<const Ranks> rows, const GradientWay& way);

}  // namespace fabula::predict
