#pragma once
#include <cstdint>
#include <functional>

#include "compress/linear.hpp"

namespace fabula::compress {

/// Which part of a fit a loop is, for what is told of its progress.
struct Part {
  double begin = 0, end = 1;

  static Part none() { return {0, 0}; }
  double at(double share) const { return begin + (end - begin) * share; }
  /// Part `index` of `count` equal ones.
  Part of(std::int64_t index, std::int64_t count) const {
    const auto n = static_cast<double>(count);
    return {at(static_cast<double>(index) / n), at(static_cast<double>(index + 1) / n)};
  }
};

/// Tells how far a fit is; kInterrupted where it shall end.
void report(const Work& work, double done);

/// step(first, n) for [0, count) in blocks of at most `block`, on all of the work's threads. The blocks do not depend
/// on how many threads there are. Of an empty part no progress is told.
void for_each_block(const Work& work, const Part& part, std::int64_t count, std::int64_t block,
                    const std::function<void(std::int64_t first, std::int64_t n)>& step);

}  // namespace fabula::compress
