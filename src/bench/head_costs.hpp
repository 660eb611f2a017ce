#pragma once
#include <cstdint>
#include <string>

#include "bench/table.hpp"
#include "fabula/error.hpp"
#include "formats/run_config.hpp"
#include "train/trainer.hpp"

namespace fabula::bench {

/// Floating-point operations of a whole training step: its batches and the optimizer.
double step_flops(const train::TrainingPlan& plan, const TrainConfig& config);

/// Throws kInvalidArgument or kUnsupported for a run that no head could be trained with.
void check_body(RunConfig config);

/// What a training step takes with a config's head, from the plan alone. What is not known is 0.
struct StepCost {
  std::int64_t head_parameters = 0, parameters = 0;
  std::string logits = {};      ///< computed for a position: heads::logits_text
  std::uint64_t bytes = 0;      ///< of the whole step
  std::uint64_t head_peak = 0;  ///< most bytes of activations alive while the head runs, the body's included
  double flops = 0;
  std::string why_not = {};  ///< fit_text on a device with `memory` bytes; empty: it fits
};
StepCost step_cost(const graph::Target& target, std::uint64_t memory, const RunConfig& config);

/// "does not fit: 300 MiB of 128 MiB", or empty where it fits.
std::string fit_text(std::uint64_t bytes, std::uint64_t memory);
/// The same from the error of a plan or an allocation that is too large for the device (kOutOfMemory, kUnsupported);
/// others are thrown again.
std::string fit_text(const Error& error);

/// What each head of head_variants would cost on this device: one row a head, nothing is allocated.
Table compare_heads(const vk::DeviceInfo& device, const KernelChoices& choices, const RunConfig& base);

}  // namespace fabula::bench
