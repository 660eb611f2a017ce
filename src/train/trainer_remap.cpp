// What a trainer does where the token map is to be made again.
#include <algorithm>
#include <chrono>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "maps/token_counts.hpp"
#include "train/remap.hpp"
#include "train/trainer.hpp"

namespace fabula::train {

bool Trainer::remap_is_due(std::int64_t number) const {
  const std::vector<std::int64_t>& steps = config_.model.head.remap;
  return std::find(steps.begin(), steps.end(), number) != steps.end();
}

// Between a step and whatever looks at the model after it or saves it, so that these agree in a run that is resumed.
void Trainer::remap_model(std::int64_t number) {
  const auto start = std::chrono::steady_clock::now();
  if (counts_.empty()) counts_ = maps::token_counts(*data_.train);
  Moved changed;
  try {
    changed = remap(runtime_, model_, counts_, static_cast<std::uint64_t>(config_.train.seed + number), number);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNumeric) throw;
    stop_as_diverged(number, error.what());
  }
  step_runner_.forget_prepared();
  compare_weights(number);
  if (!leads()) return;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  views_.append({std::string(kRemapRecord),
                 number,
                 {{"tokens_moved", changed.tokens}, {"text_moved", changed.text}, {"seconds", seconds}},
                 {}});
  info("step {}: map made again in {:.1f} s: {:.0f} % of the tokens ({:.0f} % of the text) changed their group", number,
       seconds, 100 * changed.tokens, 100 * changed.text);
}

}  // namespace fabula::train
