// What a trainer does about a run that diverges.
#include <utility>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "train/trainer.hpp"

namespace fabula::train {

// Once a rise; where there is no checkpoint yet there is nothing to say.
void Trainer::say_if_risen() {
  const bool said = std::exchange(risen_said_, rise_.risen());
  if (said || !risen_said_ || keeper_.step() < 0) return;
  if (!leads()) return;
  warn(
      "the loss or the gradient norm has risen (loss of the last steps {:.3f}, its lowest {:.3f}): until they are back "
      "the last checkpoint from before is kept, beside later ones in {}; --resume last-good goes back to it",
      rise_.loss_mean(), rise_.lowest_loss_mean(), folder_.file(kLastGoodFolder).string());
}

// Step `number` has changed nothing, nor has one sent after it: the weights are those after the step before.
void Trainer::stop_on_non_finite(std::int64_t number, const std::string& what) {
  // Where there is no checkpoint yet that state is better than none, unless it is ruined.
  if (keeper_.step() < 0 && number > 1 && !rise_.risen()) try {
      save(number - 1);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNumeric) throw;
    }
  stop_as_diverged(number, fmt::format("the {} is not finite", what));
}

// The state at the stop is not kept: from the checkpoint it can be computed again, bit by bit.
void Trainer::stop_as_diverged(std::int64_t number, const std::string& what) {
  std::string saved;
  lead([&] {
    views_.sync();
    saved = keeper_.settle();
    views_.report(summary());
  });
  if (options_.reducer != nullptr) saved = options_.reducer->broadcast_text(saved);
  fail(ErrorCode::kNumeric,
       "step {}: {}; {}. Go on with other settings: lower train.learning_rate, lengthen train.warmup_steps, or check "
       "the data",
       number, what, saved);
}

}  // namespace fabula::train
