#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace fabula {

/// What the backward pass computes again rather than keeps.
enum class Recompute { kAuto, kNone, kBlock };
/// What activations, and the copies of weights that products read, are stored in. Master weights, their gradients, the
/// optimizer's state, logits, losses and all sums are fp32.
enum class Precision { kFp32, kBf16, kFp16 };

/// How to train it. Units: steps are optimizer steps; one step sees batch_size * grad_accumulation * sequence_length
/// tokens.
struct TrainConfig {
  std::int64_t batch_size = 16;
  std::int64_t sequence_length = 0;  ///< 0: the model's n_positions
  std::int64_t grad_accumulation = 1;
  Precision precision = Precision::kFp32;
  Recompute recompute = Recompute::kAuto;  ///< changes no number
  std::int64_t steps = 0;                  ///< 0: tokens says how long
  std::int64_t tokens = 0;                 ///< 0: epochs says
  double epochs = 1;
  double learning_rate = 1e-3;
  double min_lr_ratio = 0.1;
  std::int64_t warmup_steps = 100;
  double weight_decay = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double clip_norm = 1;  ///< 0: no clipping
  double dropout = -1;   ///< -1: as the model says; else it has replaced the model's on reading
  std::int64_t seed = 1;
  std::int64_t eval_every = 100;  ///< 0: never, here and below
  std::int64_t eval_batches = 8;
  std::int64_t sample_every = 200;
  std::int64_t sample_tokens = 120;
  double sample_temperature = 0.8;
  std::string sample_prompt = "Once upon a time";
  std::int64_t save_every = 200;
  std::int64_t log_every = 10;
};

std::string_view recompute_name(Recompute recompute);  ///< "auto", "none", "block"
std::string_view precision_name(Precision precision);  ///< "fp32", "bf16", "fp16"
Precision parse_precision(std::string_view name);      ///< one of those; throws kInvalidArgument

}  // namespace fabula
