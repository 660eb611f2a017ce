#include "train/checkpoint_keeper.hpp"

#include <utility>

#include "base/fail.hpp"

namespace fabula::train {
namespace {

constexpr std::int64_t kStepsToShow = 5;  // as many as RiseWatch's shortest mean
constexpr std::int64_t kMostBehind = 10;  // where checkpoints follow each other faster than they can show

}  // namespace

void CheckpointKeeper::resume(std::int64_t step, bool risen) {
  step_ = step;
  risen_ = risen;
  last_good_.reset();
  if (const auto kept = folder_.last_good()) last_good_ = kept->step;
  if (last_good_ == step) take_for_good();  // a save that was to replace it did not come about
  good_ = !last_good_ && !risen_;
}

void CheckpointKeeper::before_save(std::int64_t number, bool risen) {
  if (step_ < 0) return;
  const bool far_behind = last_good_ && number - *last_good_ >= kMostBehind;
  if (!good_ && (risen || risen_ || (last_good_ && !far_behind))) return;
  folder_.keep_as_last_good();
  last_good_ = step_;
}

void CheckpointKeeper::after_save(std::int64_t number, bool risen) {
  step_ = number;
  risen_ = risen;
  good_ = false;
}

void CheckpointKeeper::observe(std::int64_t number, bool risen) {
  if (step_ >= 0 && !good_ && !risen_ && !risen && number >= step_ + kStepsToShow) take_for_good();
}

void CheckpointKeeper::end(bool risen) {
  if (step_ >= 0 && !risen_ && !risen) take_for_good();
}

void CheckpointKeeper::take_for_good() {
  if (last_good_) folder_.drop_last_good();
  last_good_.reset();
  good_ = true;
}

std::string CheckpointKeeper::settle() {
  const std::string run = folder_.path().string();
  if (step_ < 0) return "nothing is saved, a run in that folder starts anew";
  if (last_good_) {
    folder_.go_back();
    const std::int64_t aside = std::exchange(step_, *last_good_);
    last_good_.reset();
    risen_ = false, good_ = true;
    return fmt::format(
        "the checkpoint in {} is of step {} again, the last one known to be good, and --resume auto continues from it; "
        "that of step {} lies in {}",
        run, step_, aside, folder_.file(kSetAsideFolder).string());
  }
  if (risen_)
    return fmt::format(
        "the checkpoint in {} is of step {}, when the loss had risen already, and there is none before: a "
        "new run in another folder may serve better",
        run, step_);
  return fmt::format("the checkpoint in {} is of step {}, and --resume auto continues from it", run, step_);
}

}  // namespace fabula::train
