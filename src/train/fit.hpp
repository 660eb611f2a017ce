#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "train/training_plan.hpp"
#include "vk/device_info.hpp"

// Which batch size fits a device's memory: found by planning alone, nothing runs.
namespace fabula::train {

/// Bytes that a run takes at one batch size, without recomputation and with that of blocks.
struct FitRow {
  std::int64_t batch = 0;
  std::uint64_t none = 0, block = 0;
};

struct BatchFit {
  std::int64_t none = 0, block = 0;  ///< the largest batch size that fits; 0: not even one sequence
  std::vector<FitRow> rows;          ///< rising: one sequence, those two, powers of two below them, the config's
  std::string why_not_more;          ///< what but memory keeps larger batches off the device; empty: nothing
  std::int64_t largest() const { return none > block ? none : block; }
};

/// The largest batch sizes whose plans take at most `memory` bytes. The config's own batch size and recompute do not
/// count.
BatchFit fit_batch(const graph::Target& target, const models::LanguageModel& model, const TrainConfig& config,
                   std::uint64_t memory);

/// Settings under which a step of the config (the same sequences, in more batches if need be) fits.
struct FittingStep {
  std::int64_t batch = 0;
  std::int64_t accumulation = 0;  ///< train.grad_accumulation
  Recompute recompute = Recompute::kNone;
};
/// The one with the fewest batches, without recomputation unless that makes them far smaller; batch is 0 where nothing
/// fits.
FittingStep fitting_step(const BatchFit& fit, const TrainConfig& config);

/// Where advice on memory begins in a message, and there is no more to add.
inline constexpr const char* kWhatNeedsLess = "What needs less";

/// What needs less memory than the config, a flag with its reason each, best first.
std::vector<std::string> memory_advice(const graph::Target& target, const models::LanguageModel& model,
                                       const TrainConfig& config, std::uint64_t memory);

/// Throws kOutOfMemory, saying by how much, where not even a batch of one sequence fits.
void require_fit(const BatchFit& fit, const graph::Target& target, const models::LanguageModel& model,
                 const TrainConfig& config, std::uint64_t memory);

/// plan_training for a device that is the target. Throws kOutOfMemory when the plan exceeds the memory that
/// may be used, saying what needs less.
TrainingPlan plan_to_fit(const vk::DeviceInfo& device, const graph::Target& target, const models::LanguageModel& model,
                         const TrainConfig& config);

}  // namespace fabula::train
