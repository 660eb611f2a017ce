#pragma once
#include <array>
#include <cstdint>

#include "formats/run_config.hpp"

namespace fabula::train {

/// How far a run has come, perhaps with other batches than now.
struct StepsDone {
  std::int64_t steps = 0, tokens = 0;
};

/// Optimizer steps of a run: `steps`, else `tokens`, else `epochs` of a data set with `epoch_tokens` tokens. Rounded
/// up. Steps that are done count with the tokens that they have seen.
std::int64_t total_steps(const RunConfig& config, std::uint64_t epoch_tokens, const StepsDone& done = {});

/// Learning rate of a step, counted from 1: linear warm-up, then a cosine to min_lr_ratio of the peak at the last step.
double learning_rate(const TrainConfig& config, std::int64_t step, std::int64_t steps);

/// The `hyper` input of op adamw for a step, counted from 1: lr, beta1, beta2, eps, 1 - beta1^step, 1 - beta2^step, 0,
/// 0.
std::array<float, 8> adamw_hyper(const TrainConfig& config, double rate, std::int64_t step);

}  // namespace fabula::train
