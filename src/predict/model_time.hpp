#pragma once
#include <cstdint>

#include "infer/session.hpp"
#include "predict/kernel_times.hpp"
#include "train/training_plan.hpp"

namespace fabula::predict {

/// What a training step, or a decoded token of every slot, would take on a device.
struct Prediction {
  double seconds = 0;
  double launch_seconds = 0;  ///< of these, what launches and submissions cost whatever they do
  double other_seconds = 0;   ///< of these, of kernels whose op was not measured on any device
  double flops = 0, bytes = 0;
  std::size_t launches = 0;
};

/// A whole step of the config, its batches and the optimizer. What the host does beside is hidden behind it.
Prediction predict_step(const train::TrainingPlan& plan, const TrainConfig& config, const KernelTimes& times);

/// Decoding, planned for the device.
struct DecodePrediction {
  Prediction token;         ///< of all slots together
  std::uint64_t bytes = 0;  ///< that a session with these weights takes
};
/// A token behind `context` others, in a session of these options. Throws kOutOfMemory where a value cannot be bound.
DecodePrediction predict_token(const graph::Target& target, const models::LanguageModel& model,
                               const infer::SessionOptions& options, std::int64_t context, const KernelTimes& times);

}  // namespace fabula::predict
