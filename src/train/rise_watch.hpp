#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace fabula::train {

/// Says whether a run's loss or gradient norm has risen away from what it was: then a checkpoint from before is worth
/// keeping. A pure function of the losses and norms in their order, kept with the checkpoint, so that a resumed run
/// judges as an uninterrupted one.
///
/// The loss has risen when the mean of its last five steps or so lies above the lowest that this mean has been, by more
/// than 0.5 nats and by more than three times what steps usually lie off that mean; it is back when half of that is
/// left. The norm has risen when its geometric mean over some five steps is above ten times that over some thousand; it
/// is back at the root of ten times. "Some n": an exponential mean of weight 1 / n, a plain one until there are n.
class RiseWatch {
 public:
  /// Of a step that changed the weights. Both finite.
  void observe(double loss, double norm);
  bool risen() const { return loss_risen_ || norm_risen_; }
  double loss_mean() const { return loss_mean_; }
  double lowest_loss_mean() const { return lowest_; }

  /// What is kept in RunState::measures; restore takes no notice of other names, and starts anew where one is missing.
  void store(std::map<std::string, double>& measures) const;
  void restore(const std::map<std::string, double>& measures);

 private:
  double steps_ = 0;
  double loss_mean_ = 0, lowest_ = 0;
  double spread_ = 0;                         ///< mean distance of a step's loss from the mean before it
  double log_norm_ = 0, usual_log_norm_ = 0;  ///< over some five and some thousand steps
  bool loss_risen_ = false, norm_risen_ = false;
};

}  // namespace fabula::train
