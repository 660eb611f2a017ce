#include "vk/hazards.hpp"

namespace fabula::vk {

bool HazardTracker::add(const std::vector<Use>& uses) {
  bool hazard = false;
  for (const Use& use : uses) {
    for (const Use& earlier : pending_) {
      const bool overlap = use.buffer == earlier.buffer && use.begin < earlier.end && earlier.begin < use.end;
      if (overlap && (use.write || earlier.write)) hazard = true;
    }
  }
  // The barrier is a global one: it orders everything before it, so nothing earlier needs remembering.
  if (hazard) pending_.clear();
  pending_.insert(pending_.end(), uses.begin(), uses.end());
  return hazard;
}

void HazardTracker::clear() {
  pending_.clear();
}

}  // namespace fabula::vk
