#pragma once
#include <memory>
#include <vector>

#include "train/reducer.hpp"

namespace fabula::cluster {

/// `size` ranks in one process, for a thread each: the world of tests. Ranks may be destroyed in any order; the others
/// are told that a rank has ended as soon as they wait for it.
std::vector<std::unique_ptr<train::Reducer>> thread_world(int size);

}  // namespace fabula::cluster
