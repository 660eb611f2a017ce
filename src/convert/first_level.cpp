// The one file of the layer that includes Eigen, which takes a while to compile.
#include "convert/first_level.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "base/parallel.hpp"
#include "convert/minimise.hpp"

namespace fabula::convert {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixView = Eigen::Map<const Matrix>;
using Vector = Eigen::VectorXf;

constexpr std::int64_t kPositionsAtOnce = 64;
constexpr float kNoMass = -1e30f;           // as a logarithm; an infinite one would make NaN of differences
constexpr double kRidge = 1e-4;             // of the mean variance: directions that hidden vectors do not have
constexpr int kMostSteps = 120, kLook = 5;  // of the fit, and between looks at what is unseen

MatrixView matrix_view(const std::vector<float>& numbers, std::int64_t columns) {
  return {numbers.data(), static_cast<std::int64_t>(numbers.size()) / columns, columns};
}

template <class Row>
float log_sum_exp(const Row& row) {
  if (row.size() == 0) return kNoMass;
  const float largest = row.maxCoeff();
  return largest + std::log((row.array() - largest).exp().sum());
}

/// The rows of a full head class by class: the shortlist's first, then group by group.
struct SortedRows {
  SortedRows(const OutputRows& rows, const TokenMap& map) {
    std::vector<std::uint32_t> order = map.shortlist;
    begins.push_back(static_cast<std::int64_t>(order.size()));
    for (const auto& group : map.groups) {
      order.insert(order.end(), group.begin(), group.end());
      begins.push_back(static_cast<std::int64_t>(order.size()));
    }
    const MatrixView all = matrix_view(rows.weight, rows.hidden);
    ensure(all.rows() == std::int64_t(order.size()), "a map of {} tokens for {} rows", order.size(), all.rows());
    weight.resize(all.rows(), rows.hidden);
    bias = Vector::Zero(all.rows());
    for (std::size_t i = 0; i < order.size(); ++i) {
      weight.row(std::int64_t(i)) = all.row(order[i]);
      if (!rows.bias.empty()) bias[std::int64_t(i)] = rows.bias[order[i]];
    }
  }
  std::int64_t groups() const { return std::int64_t(begins.size()) - 1; }
  Matrix weight;
  Vector bias;
  std::vector<std::int64_t> begins;  ///< [G + 1] of the groups, and V
};

/// Hidden vectors as the fit sees them: without their mean, and with directions alike.
struct Whitening {
  explicit Whitening(const MatrixView& h) : mean(h.cast<double>().colwise().mean().transpose()) {
    const Eigen::MatrixXd centred = h.cast<double>().rowwise() - mean.transpose();
    Eigen::MatrixXd covariance = centred.transpose() * centred / double(h.rows());
    covariance.diagonal().array() += kRidge * covariance.trace() / double(h.cols()) + 1e-12;
    factor = covariance.llt();
  }
  Matrix vectors(const MatrixView& h) const {
    Eigen::MatrixXd turned = (h.cast<double>().rowwise() - mean.transpose()).transpose();
    factor.matrixL().solveInPlace(turned);
    return turned.transpose().cast<float>();
  }
  /// Scores [G, D + 1] of those vectors, the constant last, as scores of the hidden vectors; and back.
  GroupScores scores(const Eigen::MatrixXd& white) const {
    const std::int64_t D = mean.size();
    Eigen::MatrixXd w = white.leftCols(D).transpose();
    factor.matrixU().solveInPlace(w);
    const Eigen::VectorXd b = white.col(D) - w.transpose() * mean;
    const Matrix narrow = w.transpose().cast<float>();
    GroupScores result;
    result.vectors.assign(narrow.data(), narrow.data() + narrow.size());
    for (std::int64_t g = 0; g < b.size(); ++g) result.bias.push_back(static_cast<float>(b[g]));
    return result;
  }
  Eigen::MatrixXd white(const GroupScores& scores) const {
    const std::int64_t D = mean.size(), G = std::int64_t(scores.bias.size());
    const Eigen::MatrixXd w = matrix_view(scores.vectors, D).cast<double>();
    Eigen::MatrixXd result(G, D + 1);
    result.leftCols(D) = w * Eigen::MatrixXd(factor.matrixL());
    result.col(D) = w * mean + Eigen::Map<const Vector>(scores.bias.data(), G).cast<double>();
    return result;
  }

  Eigen::VectorXd mean;
  Eigen::LLT<Eigen::MatrixXd> factor;
};

/// Cost of scores [N, G], which become p - q, the gradient by them times N.
double cost_and_gradient(Matrix& s, const GroupMasses& masses) {
  double total = 0;
  for (std::int64_t n = 0; n < s.rows(); ++n) {
    const Eigen::Map<const Eigen::RowVectorXf> exact(masses.scores.data() + n * masses.groups, masses.groups);
    const float plain = masses.shortlist[static_cast<std::size_t>(n)];
    const auto log_total = [&](const auto& row) {
      const float of_groups = log_sum_exp(row), most = std::max(of_groups, plain);
      return most + std::log(std::exp(of_groups - most) + std::exp(plain - most));
    };
    const float whole = log_total(exact), own = log_total(s.row(n));
    const Eigen::RowVectorXf q = (exact.array() - whole).exp().matrix();
    // The shortlist's scores are exact: of its part only the two totals differ.
    total += double(q.dot(exact - s.row(n))) + double(own - whole);
    s.row(n) = ((s.row(n).array() - own).exp() - q.array()).matrix();
  }
  return total / double(s.rows());
}

Matrix scores_at(const Matrix& h, const Eigen::MatrixXd& white) {
  const std::int64_t D = h.cols();
  const Matrix w = white.leftCols(D).cast<float>();
  Matrix s = h * w.transpose();
  s.rowwise() += white.col(D).cast<float>().transpose();
  return s;
}

GroupScores tangent_plane(const SortedRows& rows, const Vector& at, const Eigen::MatrixXd* slopes) {
  const Vector z = rows.weight * at + rows.bias;
  GroupScores result;
  for (std::int64_t g = 0; g < rows.groups(); ++g) {
    const std::int64_t begin = rows.begins[std::size_t(g)], count = rows.begins[std::size_t(g) + 1] - begin;
    const auto of_group = z.segment(begin, count);
    const float value = log_sum_exp(of_group);
    const Vector p = (of_group.array() - value).exp().matrix();
    const Vector w = slopes != nullptr ? Vector(slopes->row(g).transpose().cast<float>())
                                       : Vector(rows.weight.middleRows(begin, count).transpose() * p);
    result.vectors.insert(result.vectors.end(), w.data(), w.data() + w.size());
    result.bias.push_back(value - w.dot(at));
  }
  return result;
}

Eigen::MatrixXd mean_rows(const OutputRows& rows, const TokenMap& map, std::span<const std::uint64_t> counts) {
  const MatrixView all = matrix_view(rows.weight, rows.hidden);
  Eigen::MatrixXd means = Eigen::MatrixXd::Zero(std::int64_t(map.groups.size()), rows.hidden);
  for (std::size_t g = 0; g < map.groups.size(); ++g) {
    double total = 0;
    for (const std::uint32_t token : map.groups[g]) {
      const double weight = double(counts[token]) + 1;  // a token that was never seen weighs a little
      means.row(std::int64_t(g)) += weight * all.row(token).cast<double>();
      total += weight;
    }
    means.row(std::int64_t(g)) /= total;
  }
  return means;
}

/// Of the masses [N, G] as planes over whitened vectors, whose covariance is 1 but for the ridge.
Eigen::MatrixXd least_squares(const Matrix& white, const GroupMasses& masses) {
  const std::int64_t D = white.cols();
  const Eigen::MatrixXd h = white.cast<double>(), y = matrix_view(masses.scores, masses.groups).cast<double>();
  const Eigen::RowVectorXd mean = y.colwise().mean();
  Eigen::MatrixXd gram = h.transpose() * h;
  gram.diagonal().array() += kRidge * double(white.rows());
  Eigen::MatrixXd result(masses.groups, D + 1);
  const Eigen::MatrixXd planes = gram.llt().solve(h.transpose() * (y.rowwise() - mean));  // [D, G]
  result.leftCols(D) = planes.transpose();
  result.col(D) = mean.transpose();
  return result;
}

}  // namespace

GroupMasses group_masses(std::vector<float> vectors, const OutputRows& rows, const TokenMap& map, std::size_t threads) {
  const SortedRows sorted(rows, map);
  GroupMasses masses;
  masses.hidden = rows.hidden;
  masses.groups = sorted.groups();
  masses.vectors = std::move(vectors);
  const MatrixView h = matrix_view(masses.vectors, rows.hidden);
  masses.positions = h.rows();
  masses.scores.resize(static_cast<std::size_t>(h.rows() * masses.groups));
  masses.shortlist.resize(static_cast<std::size_t>(h.rows()));
  const std::int64_t chunks = (h.rows() + kPositionsAtOnce - 1) / kPositionsAtOnce;
  parallel_for(threads, static_cast<std::size_t>(chunks), [&](std::size_t, std::size_t chunk) {
    const std::int64_t first = std::int64_t(chunk) * kPositionsAtOnce;
    const std::int64_t count = std::min(kPositionsAtOnce, h.rows() - first);
    Matrix z = h.middleRows(first, count) * sorted.weight.transpose();
    z.rowwise() += sorted.bias.transpose();
    for (std::int64_t n = 0; n < count; ++n) {
      masses.shortlist[std::size_t(first + n)] = log_sum_exp(z.row(n).head(sorted.begins.front()));
      for (std::int64_t g = 0; g < masses.groups; ++g) {
        const std::int64_t begin = sorted.begins[std::size_t(g)], end = sorted.begins[std::size_t(g) + 1];
        masses.scores[std::size_t((first + n) * masses.groups + g)] = log_sum_exp(z.row(n).segment(begin, end - begin));
      }
    }
  });
  return masses;
}

std::vector<float> rows_as_read(const OutputRows& rows, const std::vector<float>& vectors) {
  const Whitening whitening(matrix_view(vectors, rows.hidden));
  const Matrix read = matrix_view(rows.weight, rows.hidden) * Eigen::MatrixXd(whitening.factor.matrixL()).cast<float>();
  return {read.data(), read.data() + read.size()};
}

double cost_of(const GroupScores& scores, const GroupMasses& masses) {
  const MatrixView h = matrix_view(masses.vectors, masses.hidden), w = matrix_view(scores.vectors, masses.hidden);
  Matrix s = h * w.transpose();
  s.rowwise() += Eigen::Map<const Vector>(scores.bias.data(), masses.groups).transpose();
  return cost_and_gradient(s, masses);
}

FittedScores fit_scores(const GroupMasses& seen, const GroupMasses& unseen, const OutputRows& rows, const TokenMap& map,
                        std::span<const std::uint64_t> counts) {
  ensure(seen.positions > 0 && unseen.positions > 0, "no hidden vectors to fit scores to");
  const SortedRows sorted(rows, map);
  const Whitening whitening(matrix_view(seen.vectors, seen.hidden));
  const Matrix white = whitening.vectors(matrix_view(seen.vectors, seen.hidden));
  const Vector mean = whitening.mean.cast<float>();
  FittedScores result;
  const auto offer = [&](std::string_view way, GroupScores scores) {
    result.tried.push_back({way, cost_of(scores, unseen)});
    if (!(result.tried.back().cost < result.tried[result.best].cost) && result.tried.size() > 1) return;
    result.best = result.tried.size() - 1;
    result.scores = std::move(scores);
  };
  const Eigen::MatrixXd means = mean_rows(rows, map, counts);
  offer("rows", tangent_plane(sorted, mean, &means));
  offer("tangent", tangent_plane(sorted, mean, nullptr));
  offer("plane", whitening.scores(least_squares(white, seen)));

  const Eigen::MatrixXd start = whitening.white(result.scores);
  const auto matrix_of = [&](std::span<const double> x) {
    return Eigen::Map<const Eigen::MatrixXd>(x.data(), start.rows(), start.cols());
  };
  const auto cost = [&](std::span<const double> x, std::span<double> gradient) {
    Matrix s = scores_at(white, matrix_of(x));
    const double value = cost_and_gradient(s, seen);
    Eigen::Map<Eigen::MatrixXd> d(gradient.data(), start.rows(), start.cols());
    d.leftCols(white.cols()) = (s.transpose() * white).cast<double>() / double(white.rows());
    d.col(white.cols()) = s.cast<double>().colwise().mean().transpose();
    return value;
  };
  GroupScores best = result.scores;
  double least = cost_of(best, unseen);
  minimise(cost, {start.data(), start.data() + start.size()}, kMostSteps, [&](int step, std::span<const double> x) {
    if (step % kLook != 0) return true;
    GroupScores scores = whitening.scores(matrix_of(x));
    const double now = cost_of(scores, unseen);
    if (!(now < least)) return false;
    const bool gains = now < 0.998 * least;
    least = now;
    best = std::move(scores);
    return gains;
  });
  offer("fit", std::move(best));
  return result;
}

}  // namespace fabula::convert
