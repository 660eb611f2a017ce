#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "compress/linear.hpp"

// A linear as two thinner ones (Chavan, Lele and Gupta, "ROM", 2023): its outputs are projected onto those directions
// in which they vary most. That is the matrix of least error E for its rank, and the one that the truncated SVD of
// W L, L L^T = Sigma, gives.
namespace fabula::compress {

/// The directions in which a linear's outputs vary, for all ranks at once.
struct OutputDirections {
  std::int64_t outputs = 0, inputs = 0;
  std::vector<double> energies = {};  ///< the outputs' variance along each, falling; as many as differ from none
  std::vector<double> basis = {};     ///< orthonormal, direction k is column k. [outputs, energies.size()]
  double signal = 0;                  ///< tr(W Sigma W^T)

  std::int64_t count() const { return std::ssize(energies); }
  /// E of a rank: what is dropped.
  double error(std::int64_t rank) const;
};

/// With means the outputs' covariance is taken, which needs a bias to be added (Factors::shift); otherwise their second
/// moments. Errors as check(linear).
OutputDirections output_directions(const Linear& linear, const Work& work = {});

/// W' = up down.
struct Factors {
  std::int64_t outputs = 0, inputs = 0, rank = 0;
  std::vector<double> up = {};     ///< [outputs, rank]
  std::vector<double> down = {};   ///< [rank, inputs]
  std::vector<double> shift = {};  ///< to be added to the bias [outputs]; empty without means
};

/// The first `rank` directions, 1 to min(outputs, inputs); those beyond directions.count() are zero.
Factors factors(const Linear& linear, const OutputDirections& directions, std::int64_t rank);

/// W' [outputs, inputs].
std::vector<float> merged(const Factors& of);

/// Two factors are worth it from this rank down: r (outputs + inputs) < outputs inputs. 0: never.
std::int64_t largest_useful_rank(std::int64_t outputs, std::int64_t inputs);

/// The rank of which two factors have `share` of the matrix's numbers, at least 1.
std::int64_t rank_of_share(std::int64_t outputs, std::int64_t inputs, double share);

/// Ranks of several matrices that have together at most `share` of their numbers, 0 for one that stays whole: those
/// with the least sum of errors, each in parts of its own signal, that one price for all numbers gives.
/// Error kInvalidArgument for a share that even ranks of 1 exceed.
std::vector<std::int64_t> ranks_by_loss(std::span<const OutputDirections> matrices, double share);

}  // namespace fabula::compress
