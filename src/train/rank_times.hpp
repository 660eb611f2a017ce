#pragma once
#include <map>
#include <string>

#include "train/reducer.hpp"

namespace fabula::train {

/// What each rank makes of its time between two records of a run's metrics: a rank that is slower than the others shows
/// in their waiting.
class RankTimes {
 public:
  /// It must outlive this.
  explicit RankTimes(Reducer& ranks) : ranks_(ranks) {}

  /// A step of `tokens` of this rank's own, that took `seconds`, `waited` of them for others.
  void add(double seconds, double waited, double tokens);
  /// Tells rank 0, and begins anew. There, for each rank r, values gets rank_r_tokens_per_second, that of its steps
  /// without their waiting, and rank_r_waiting, the part of their time that it waited for others. All ranks call it at
  /// the same steps.
  void tell(std::map<std::string, double>& values);

 private:
  Reducer& ranks_;
  double seconds_ = 0, waited_ = 0, tokens_ = 0;
};

}  // namespace fabula::train
