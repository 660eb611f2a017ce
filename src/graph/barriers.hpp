#pragma once
#include <cstddef>
#include <vector>

#include "graph/program.hpp"
#include "vk/hazards.hpp"

namespace fabula::graph {

/// The memory that a command reads and writes, as its shader says; one that this build lacks may do both to all of it.
std::vector<vk::HazardTracker::Use> uses_of(const Step& step);

/// Barriers between the commands of a program: as many as a recorded list has.
std::size_t barrier_count(const Program& program);

}  // namespace fabula::graph
