#include "predict/rank_time.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

namespace fabula::predict {
namespace {

constexpr double kBucketBytes = 16 << 20;  // what is under way at once; the first and the last are hidden by nothing
constexpr std::size_t kMeasuredBytes = 32 << 20;  // beyond most caches
constexpr int kMeasurements = 3;

double seconds_at(double bytes, double per_second) {
  return per_second > 0 ? bytes / per_second : 0;
}

/// Bytes that a rank sends, and as many that it receives: slices to their owners, and the sums back.
double sent(double bytes, const Ranks& ranks) {
  return 2 * bytes * ranks.wire_share * (ranks.count - 1) / ranks.count;
}

/// The same phases for some bytes.
RankPrediction phases_of(double bytes, const Ranks& ranks, const GradientWay& way) {
  RankPrediction phases;
  const int on_host = std::min(ranks.per_host, ranks.count);
  const double others = std::max(ranks.count - 1, 1);
  phases.copy_out = seconds_at(bytes, way.copy_out);
  phases.copy_back = seconds_at(bytes, way.copy_back);
  const double near = sent(bytes, ranks) * (on_host - 1) / others,
               far = sent(bytes, ranks) * (ranks.count - on_host) / others;
  phases.wire = std::max(seconds_at(near * on_host, way.host), seconds_at(far * on_host, way.network));
  // Each adds its slice of every rank's gradient; host memory is shared like its copies.
  phases.sum = seconds_at(bytes * on_host * (ranks.count - 1) / ranks.count, way.sum);
  return phases;
}

double slowest(const RankPrediction& phases) {
  return std::max({phases.copy_out, phases.wire, phases.sum, phases.copy_back});
}

double all_of(const RankPrediction& phases) {
  return phases.copy_out + phases.wire + phases.sum + phases.copy_back;
}

template <class Work>
double best_seconds(const Work& work) {
  double best = 1e9;
  for (int i = 0; i < kMeasurements; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

}  // namespace

GradientBytes gradient_bytes(const models::LanguageModel& model) {
  GradientBytes bytes;
  for (const graph::ParameterSpec& spec : model.trained_parameters())
    bytes.early += static_cast<double>(spec.shape.bytes());
  const ModelConfig& config = model.config();
  bytes.late = 4.0 * static_cast<double>(config.vocab_size * config.hidden);
  bytes.late = std::min(bytes.late, bytes.early);
  bytes.early -= bytes.late;
  return bytes;
}

// Buckets go through the phases one behind the other: the slowest phase sets the pace, the others cost one bucket each.
// What is final early has the backward pass to hide behind; the rest is waited for.
RankPrediction predict_ranks(double step_seconds, double hidden, const GradientBytes& bytes, const Ranks& ranks,
                             const GradientWay& way) {
  RankPrediction result;
  result.compute = step_seconds;
  if (ranks.count == 1) return result;
  const double all = bytes.early + bytes.late;
  const RankPrediction phases = phases_of(all, ranks, way), late = phases_of(bytes.late, ranks, way),
                       early = phases_of(bytes.early, ranks, way),
                       bucket = phases_of(std::min(kBucketBytes, all), ranks, way);
  result.copy_out = phases.copy_out;
  result.wire = phases.wire;
  result.sum = phases.sum;
  result.copy_back = phases.copy_back;
  const double messages = 2 * way.message * (ranks.count - 1) * std::ceil(all / kBucketBytes);
  result.exposed = std::max(0.0, slowest(early) + messages - hidden) + slowest(late) +
                   std::max(0.0, all_of(bucket) - slowest(bucket)) + 2 * way.message * (ranks.count - 1);
  return result;
}

void measure_host(GradientWay& way) {
  const std::size_t count = kMeasuredBytes / sizeof(float);
  std::vector<float> from(count, 1.0f), to(count, 2.0f);
  const double bytes = static_cast<double>(kMeasuredBytes);
  way.host = bytes / best_seconds([&] { std::memcpy(to.data(), from.data(), kMeasuredBytes); });
  way.sum = bytes / best_seconds([&] {
              for (std::size_t i = 0; i < count; ++i) to[i] += from[i];
            });
}

Table rank_table(double step_seconds, double hidden, double tokens, const GradientBytes& bytes,
                 std::span<const Ranks> rows, const GradientWay& way) {
  Table table{{"ranks", "hosts", "ms/step", "tokens/s", "efficiency %", "copy out ms", "wire ms", "sum ms",
               "copy back ms", "waiting ms"},
              {},
              {}};
  for (const Ranks& ranks : rows) {
    const RankPrediction one = predict_ranks(step_seconds, hidden, bytes, ranks, way);
    const auto ms = [](double seconds) { return fmt::format("{:.2f}", 1e3 * seconds); };
    table.rows.push_back({std::to_string(ranks.count), std::to_string(ranks.hosts()), ms(one.seconds()),
                          fmt::format("{:.0f}", ranks.count * tokens / one.seconds()),
                          fmt::format("{:.0f}", 100 * one.efficiency()), ms(one.copy_out), ms(one.wire), ms(one.sum),
                          ms(one.copy_back), ms(one.exposed)});
  }
  return table;
}

}  // namespace fabula::predict
