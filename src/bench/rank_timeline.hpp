#pragma once
#include <filesystem>
#include <span>

#include "train/reducer.hpp"

namespace fabula::bench {

/// A picture of one step, as SVG: the step, and beside it each bucket's way (to its owner, added, back), by time.
/// Errors: those of writing a file.
void write_timeline(const std::filesystem::path& path, std::span<const train::SumTimes> sums,
                    train::SumTimes::Point begin, train::SumTimes::Point end);

}  // namespace fabula::bench
