#pragma once
#include <functional>
#include <span>
#include <vector>

namespace fabula::convert {

/// Brings a smooth function down by L-BFGS (Liu and Nocedal 1989) with step halving, from `start`. `cost` fills the
/// gradient at x and returns the value; `go_on` sees x after each step, counted from 1, and ends it by false. It also
/// ends after `most_steps`, and where no step lowers the value. Returns the last x.
std::vector<double> minimise(const std::function<double(std::span<const double> x, std::span<double> gradient)>& cost,
                             std::vector<double> start, int most_steps,
                             const std::function<bool(int step, std::span<const double> x)>& go_on = {});

}  // namespace fabula::convert
