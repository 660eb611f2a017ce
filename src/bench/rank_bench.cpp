#include "bench/rank_bench.hpp"

#include <algorithm>
#include <cstring>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "bench/machine.hpp"
#include "bench/rank_timeline.hpp"
#include "bench/roof.hpp"
#include "bench/step_bench.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::bench {
namespace {

/// What a rank tells the others, a step.
struct RankTimes {
  double alone = 0, together = 0;         ///< seconds of a step
  double wire = 0, sum = 0, waiting = 0;  ///< seconds of these
  double copy_out = 0, copy_back = 0;     ///< seconds that the bytes take by copies alone, as measured here
  double bytes = 0, sums = 0;
};

double seconds(train::SumTimes::Point from, train::SumTimes::Point to) {
  return std::chrono::duration<double>(to - from).count();
}

void add_phases(RankTimes& times, const std::vector<train::SumTimes>& sums, double steps) {
  for (const train::SumTimes& sum : sums) {
    times.bytes += static_cast<double>(sum.bytes) / steps;
    times.sums += 1 / steps;
    times.wire += (seconds(sum.begin, sum.sent) + seconds(sum.added, sum.end)) / steps;
    times.sum += seconds(sum.sent, sum.added) / steps;
  }
}

std::vector<RankTimes> gathered(train::Reducer& ranks, const RankTimes& own) {
  std::vector<RankTimes> all;
  for (const std::vector<std::byte>& bytes : ranks.gather(std::as_bytes(std::span(&own, 1)), train::kSetupPatience)) {
    ensure(bytes.size() == sizeof(RankTimes), "a rank tells {} bytes of times", bytes.size());
    std::memcpy(&all.emplace_back(), bytes.data(), sizeof(RankTimes));
  }
  return all;
}

RankTimes slowest(const std::vector<RankTimes>& all) {
  RankTimes result;
  for (double RankTimes::*const one :
       {&RankTimes::alone, &RankTimes::together, &RankTimes::wire, &RankTimes::sum, &RankTimes::waiting,
        &RankTimes::copy_out, &RankTimes::copy_back, &RankTimes::bytes, &RankTimes::sums})
    for (const RankTimes& times : all) result.*one = std::max(result.*one, times.*one);
  return result;
}

/// What ranks of a step do together: as many micro-batches each as one alone.
RunConfig of_all(RunConfig config, int ranks) {
  config.train.grad_accumulation *= ranks;
  return config;
}

Table table_of(const RankTimes& times, const RunConfig& config, int size) {
  Table table{{"ranks", "accumulation", "tokens/s", "ms/step", "alone ms", "efficiency %", "gradients MiB", "buckets",
               "copy out ms", "wire ms", "sum ms", "copy back ms", "waiting ms", "hidden %"},
              {},
              {}};
  const auto ms = [](double value) { return fmt::format("{:.2f}", 1e3 * value); };
  const double way = times.copy_out + times.wire + times.sum + times.copy_back, exposed = times.together - times.alone;
  table.rows.push_back({std::to_string(size), std::to_string(config.train.grad_accumulation),
                        fmt::format("{:.0f}", size * static_cast<double>(config.tokens_per_step()) / times.together),
                        ms(times.together), ms(times.alone), fmt::format("{:.1f}", 100 * times.alone / times.together),
                        fmt::format("{:.1f}", times.bytes / (1 << 20)), fmt::format("{:.0f}", times.sums),
                        ms(times.copy_out), ms(times.wire), ms(times.sum), ms(times.copy_back), ms(times.waiting),
                        way > 0 ? fmt::format("{:.0f}", 100 * std::clamp(1 - exposed / way, 0.0, 1.0)) : ""});
  return table;
}

}  // namespace

Table bench_ranks(const vk::DeviceOptions& options, const RunConfig& config, const RankBenchOptions& bench,
                  train::Reducer& ranks) {
  const auto [device, choices] = tuning::open_tuned_device(options);
  ranks.agree("the program", program_text());
  std::optional<text::TokenFile> tokens;
  if (!bench.tokens.empty()) tokens.emplace(bench.tokens);
  const text::TokenFile* const source = tokens ? &*tokens : nullptr;
  RankTimes own;
  ranks.barrier(train::kSetupPatience);
  {
    StepBench alone(*device, choices, config, {}, source);
    own.alone = alone.measure("alone", bench.steps).seconds;
  }
  const RunConfig together = of_all(config, ranks.size());
  StepBench steps(*device, choices, together, {}, source, false, &ranks);
  ranks.barrier(train::kSetupPatience);
  ranks.keep_times();
  const double waited = ranks.waited_seconds();
  own.together = steps.measure("together", bench.steps).seconds;
  const double count = kWarmUpSteps + bench.steps + 1;
  own.waiting = (ranks.waited_seconds() - waited) / count;
  add_phases(own, ranks.take_times(), count);
  const TransferRates transfers = measure_transfers(*device);
  own.copy_out = transfers.download > 0 ? own.bytes / transfers.download : 0;
  own.copy_back = transfers.upload > 0 ? own.bytes / transfers.upload : 0;
  const auto begin = std::chrono::steady_clock::now();
  steps.step();
  const auto end = std::chrono::steady_clock::now();
  if (ranks.leads() && !bench.timeline.empty()) write_timeline(bench.timeline, ranks.take_times(), begin, end);
  const std::vector<RankTimes> all = gathered(ranks, own);
  if (!ranks.leads()) return {};
  Table table = table_of(slowest(all), config, ranks.size());
  table.notes = machine_notes(*device, choices);
  table.notes.push_back(fmt::format("{}, vocabulary of {} tokens, {}, of each rank", step_note(config),
                                    config.model.vocab_size, source != nullptr ? "tokens of a file" : "random ids"));
  table.notes.emplace_back(
      "alone: each rank by itself, all at once; wire: bytes between ranks, others' delay included; copies: of as many "
      "bytes by themselves");
  return table;
}

}  // namespace fabula::bench
