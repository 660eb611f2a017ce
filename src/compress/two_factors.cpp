#include "compress/two_factors.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "compress/dense.hpp"
#include "compress/group_scale.hpp"
#include "compress/steps.hpp"

namespace fabula::compress {
namespace {

constexpr double kNoEnergy = 1e-13;  // of the largest: rounding
constexpr double kAnyPrice = 1e200;  // of a number, beside which no error counts

// Sigma, or with means the covariance.
std::vector<double> spread_of_inputs(const Linear& linear) {
  const auto n = static_cast<std::size_t>(linear.inputs);
  std::vector<double> spread(n * n);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < n; ++c) {
      spread[r * n + c] = linear.moments.empty() ? (r == c ? 1 : 0) : linear.moments[r * n + c];
      if (!linear.means.empty()) spread[r * n + c] -= linear.means[r] * linear.means[c];
    }
  return spread;
}

// Some L with L L^T = Sigma, also where inputs depend on each other.
std::vector<double> root(const std::vector<double>& spread, std::int64_t n) {
  std::vector<double> lower = cholesky(view(spread, n, n));
  if (!lower.empty()) return lower;
  Eigenpairs pairs = eigenpairs(view(spread, n, n));
  for (std::size_t i = 0; i < pairs.vectors.size(); ++i)
    pairs.vectors[i] *= std::sqrt(std::max(pairs.values[i % static_cast<std::size_t>(n)], 0.0));
  return pairs.vectors;
}

// Keeps what has energy, the largest first; column k of `vectors` belongs to the k-th of the rising values.
void keep_energetic(const Eigenpairs& pairs, const std::vector<double>& vectors, bool unit, OutputDirections& out) {
  const std::int64_t n = std::ssize(pairs.values);
  const double least = kNoEnergy * std::max(pairs.values.back(), 0.0);
  for (std::int64_t k = n; k-- > 0 && pairs.values[static_cast<std::size_t>(k)] > least;)
    out.energies.push_back(pairs.values[static_cast<std::size_t>(k)]);
  const std::int64_t kept = out.count();
  out.basis.resize(static_cast<std::size_t>(out.outputs * kept));
  for (std::int64_t row = 0; row < out.outputs; ++row)
    for (std::int64_t k = 0; k < kept; ++k) {
      const double scale = unit ? 1 : 1 / std::sqrt(out.energies[static_cast<std::size_t>(k)]);
      out.basis[static_cast<std::size_t>(row * kept + k)] =
          vectors[static_cast<std::size_t>(row * n + n - 1 - k)] * scale;
    }
}

struct Choice {
  std::int64_t rank = 0;  // 0: whole
  double numbers = 0;
};

// The cheapest form of a matrix where a number costs `price`.
Choice choice_at(const OutputDirections& of, double price) {
  const double each = static_cast<double>(of.outputs + of.inputs);
  const double all = static_cast<double>(of.outputs) * static_cast<double>(of.inputs);
  const double signal = of.signal > 0 ? of.signal : 1;
  std::int64_t rank = 0;
  while (rank < of.count() && of.energies[static_cast<std::size_t>(rank)] > price * each * signal) ++rank;
  rank = std::max<std::int64_t>(rank, 1);
  const double numbers = static_cast<double>(rank) * each;
  if (numbers >= all || price * all <= of.error(rank) / signal + price * numbers) return {0, all};
  return {rank, numbers};
}

double numbers_at(std::span<const OutputDirections> matrices, double price) {
  double sum = 0;
  for (const OutputDirections& matrix : matrices) sum += choice_at(matrix, price).numbers;
  return sum;
}

}  // namespace

double OutputDirections::error(std::int64_t rank) const {
  double sum = 0;
  for (std::int64_t k = count(); k-- > rank;) sum += energies[static_cast<std::size_t>(k)];
  return sum;
}

OutputDirections output_directions(const Linear& linear, const Work& work) {
  check(linear);
  const std::int64_t outputs = linear.outputs, inputs = linear.inputs;
  OutputDirections result{.outputs = outputs, .inputs = inputs};
  result.signal = signal(linear, work);
  const std::vector<double> weights = live_weights(linear), spread = spread_of_inputs(linear);
  const auto w = view(weights, outputs, inputs);
  report(work, 0.1);
  // The smaller of two problems with the same eigenvalues: W Sigma W^T, or L^T W^T W L, whose vectors v stand for the
  // directions W L v.
  if (outputs <= inputs) {
    const std::vector<double> weighed = product(w, view(spread, inputs, inputs), work), turned = transposed(w);
    const std::vector<double> outer = product(view(weighed, outputs, inputs), view(turned, inputs, outputs), work);
    report(work, 0.4);
    const Eigenpairs pairs = eigenpairs(view(outer, outputs, outputs));
    keep_energetic(pairs, pairs.vectors, true, result);
  } else {
    const std::vector<double> lower = root(spread, inputs);
    const std::vector<double> whitened = product(w, view(lower, inputs, inputs), work);
    const std::vector<double> turned = transposed(view(whitened, outputs, inputs));
    const std::vector<double> inner = product(view(turned, inputs, outputs), view(whitened, outputs, inputs), work);
    report(work, 0.4);
    const Eigenpairs pairs = eigenpairs(view(inner, inputs, inputs));
    const std::vector<double> directions =
        product(view(whitened, outputs, inputs), view(pairs.vectors, inputs, inputs), work);
    keep_energetic(pairs, directions, false, result);
  }
  report(work, 1);
  return result;
}

Factors factors(const Linear& linear, const OutputDirections& directions, std::int64_t rank) {
  const std::int64_t outputs = linear.outputs, inputs = linear.inputs;
  if (rank < 1 || rank > std::min(outputs, inputs))
    fail(ErrorCode::kInvalidArgument, "rank {} of a matrix [{}, {}]: expected 1 to {}", rank, outputs, inputs,
         std::min(outputs, inputs));
  Factors result{.outputs = outputs, .inputs = inputs, .rank = rank};
  result.up.resize(static_cast<std::size_t>(outputs * rank));
  const std::int64_t used = std::min(rank, directions.count());
  for (std::int64_t row = 0; row < outputs; ++row)
    for (std::int64_t k = 0; k < used; ++k)
      result.up[static_cast<std::size_t>(row * rank + k)] =
          directions.basis[static_cast<std::size_t>(row * directions.count() + k)];
  const std::vector<double> weights = live_weights(linear), turned = transposed(view(result.up, outputs, rank));
  result.down.resize(static_cast<std::size_t>(rank * inputs));
  multiply(view(turned, rank, outputs), view(weights, outputs, inputs), view(result.down, rank, inputs));
  if (linear.means.empty()) return result;
  const std::vector<double> means(linear.means.begin(), linear.means.end());
  std::vector<double> inner(static_cast<std::size_t>(rank));
  result.shift.resize(static_cast<std::size_t>(outputs));
  multiply(view(weights, outputs, inputs), view(means, inputs, 1), view(result.shift, outputs, 1));
  multiply(view(result.down, rank, inputs), view(means, inputs, 1), view(inner, rank, 1));
  add_product(-1.0, view(result.up, outputs, rank), view(inner, rank, 1), view(result.shift, outputs, 1));
  return result;
}

std::vector<float> merged(const Factors& of) {
  std::vector<double> whole(static_cast<std::size_t>(of.outputs * of.inputs));
  multiply(view(of.up, of.outputs, of.rank), view(of.down, of.rank, of.inputs), view(whole, of.outputs, of.inputs));
  return {whole.begin(), whole.end()};
}

std::int64_t largest_useful_rank(std::int64_t outputs, std::int64_t inputs) {
  return (outputs * inputs - 1) / (outputs + inputs);
}

std::int64_t rank_of_share(std::int64_t outputs, std::int64_t inputs, double share) {
  const double numbers = share * static_cast<double>(outputs) * static_cast<double>(inputs);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(numbers / static_cast<double>(outputs + inputs)));
}

std::vector<std::int64_t> ranks_by_loss(std::span<const OutputDirections> matrices, double share) {
  double all = 0, least = 0;
  for (const OutputDirections& matrix : matrices) {
    all += static_cast<double>(matrix.outputs) * static_cast<double>(matrix.inputs);
    least += choice_at(matrix, kAnyPrice).numbers;
  }
  if (least > share * all)
    fail(ErrorCode::kInvalidArgument, "{:.4g} of the numbers of {} matrices: with a rank of 1 each they keep {:.4g}",
         share, matrices.size(), least / all);
  double low = 0, high = 1;  // numbers_at falls as the price rises
  while (numbers_at(matrices, high) > share * all) high *= 2;
  for (int halving = 0; halving < 200 && numbers_at(matrices, low) > share * all; ++halving) {
    const double middle = (low + high) / 2;
    (numbers_at(matrices, middle) > share * all ? low : high) = middle;
  }
  const double price = numbers_at(matrices, low) > share * all ? high : low;
  std::vector<std::int64_t> ranks;
  for (const OutputDirections& matrix : matrices) ranks.push_back(choice_at(matrix, price).rank);
  return ranks;
}

}  // namespace fabula::compress
