#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

// Fitting smaller forms to the matrices of a trained model: pure functions over matrices on the host. All of them take
// a linear's matrix and what is known of its inputs, and lower the same error E.
namespace fabula::compress {

/// A linear layer y = W x + b and the inputs x that it had over a text.
struct Linear {
  std::int64_t outputs = 0, inputs = 0;
  std::span<const float> weights;  ///< W [outputs, inputs]
  /// Sigma = mean of x x^T [inputs, inputs], symmetric. Without it, the identity: nothing is known of the inputs.
  std::span<const double> moments = {};
  std::span<const double> means = {};  ///< mean of x [inputs]; only where a method says so
};

/// How a fit runs. What it finds depends on neither.
struct Work {
  std::size_t threads = 0;  ///< 0: all of the machine's
  /// Told from time to time which part of the fit is done, 0 to 1, by the calling thread. False ends the fit with the
  /// error kInterrupted.
  std::function<bool(double done)> go_on = {};
};

/// E = tr((W - W') Sigma (W - W')^T), the mean squared error of the layer's outputs.
struct FitError {
  double squared = 0;  ///< E
  double signal = 0;   ///< tr(W Sigma W^T)

  /// 0 where there was nothing to keep.
  double relative() const { return signal > 0 ? squared / signal : 0; }
};

/// The mean of the square of an input.
inline double second_moment(const Linear& linear, std::int64_t input) {
  return linear.moments.empty() ? 1 : linear.moments[static_cast<std::size_t>(input * (linear.inputs + 1))];
}

/// Errors: kInvalidArgument for sizes that disagree; kNumeric for a number that is not finite or a negative second
/// moment.
void check(const Linear& linear);

/// tr(W Sigma W^T), summed in double.
double signal(const Linear& linear, const Work& work = {});

/// The error of other weights [outputs, inputs] in the linear's place, summed in double.
FitError fit_error(const Linear& linear, std::span<const float> fitted, const Work& work = {});

}  // namespace fabula::compress
