#include "train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fabula::train {

std::int64_t total_steps(const RunConfig& config, std::uint64_t epoch_tokens, const StepsDone& done) {
  const TrainConfig& train = config.train;
  if (train.steps > 0) return train.steps;
  const double tokens =
      train.tokens > 0 ? static_cast<double>(train.tokens) : train.epochs * static_cast<double>(epoch_tokens);
  const std::int64_t per_step = config.tokens_per_step();
  const auto steps_for = [&](double wanted) {
    return static_cast<std::int64_t>(std::ceil(wanted / static_cast<double>(per_step)));
  };
  if (done.tokens == done.steps * per_step) return std::max<std::int64_t>(1, steps_for(tokens));
  return done.steps + std::max<std::int64_t>(0, steps_for(tokens - static_cast<double>(done.tokens)));
}

double learning_rate(const TrainConfig& config, std::int64_t step, std::int64_t steps) {
  const auto warmup = static_cast<double>(std::min(config.warmup_steps, steps));
  const auto at = static_cast<double>(step);
  if (at <= warmup) return config.learning_rate * at / warmup;
  const double progress = std::min(1.0, (at - warmup) / std::max(1.0, static_cast<double>(steps) - warmup));
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return config.learning_rate * (config.min_lr_ratio + (1 - config.min_lr_ratio) * cosine);
}

std::array<float, 8> adamw_hyper(const TrainConfig& config, double rate, std::int64_t step) {
  const auto t = static_cast<double>(step);
  return {static_cast<float>(rate),
          static_cast<float>(config.beta1),
          static_cast<float>(config.beta2),
          static_cast<float>(config.epsilon),
          static_cast<float>(1 - std::pow(config.beta1, t)),
          static_cast<float>(1 - std::pow(config.beta2, t)),
          0,
          0};
}

}  // namespace fabula::train
