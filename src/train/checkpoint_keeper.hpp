#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "train/run_folder.hpp"

namespace fabula::train {

/// Sees to it that a run which diverges has a good checkpoint to go back to. What a checkpoint's weights are worth
/// shows in the steps after it: until five of them have gone by without a rise of loss or norm (RiseWatch), the one
/// before it stays beside it as the run's last good one. So does the last one from before a rise until loss and norm
/// are back.
class CheckpointKeeper {
 public:
  explicit CheckpointKeeper(RunFolder& folder) : folder_(folder) {}

  /// The run goes on from the folder's checkpoint, of this step.
  void resume(std::int64_t step, bool risen);
  /// Of the checkpoint in the folder; -1: there is none.
  std::int64_t step() const { return step_; }

  /// Around a save of step `number`. Error kIo.
  void before_save(std::int64_t number, bool risen);
  void after_save(std::int64_t number, bool risen);
  /// Step `number` was computed; `risen` takes it in.
  void observe(std::int64_t number, bool risen);
  /// The process ends: without a rise the checkpoint is taken for good.
  void end(bool risen);
  /// The run has diverged: goes back to the last good checkpoint where the folder's is not known to be good. Returns
  /// what a message says of it.
  std::string settle();

 private:
  void take_for_good();

  RunFolder& folder_;
  std::int64_t step_ = -1;
  bool risen_ = false;                     ///< had the loss risen when it was saved?
  bool good_ = false;                      ///< five steps have gone by
  std::optional<std::int64_t> last_good_;  ///< step of what is kept beside
};

}  // namespace fabula::train
