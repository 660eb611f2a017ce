#include <algorithm>
#include <utility>

#include "compress/additive_target.hpp"

namespace fabula::compress {
namespace {

constexpr std::int64_t kPieces = 8;  // of a matrix, each with sums of its own
constexpr std::int64_t kPieceRows = 32;
constexpr double kSmallEnough = 1e-12;

/// fill(target, first, n, out) gives rows Y [n, columns].
using Rows = std::function<void(const AdditiveTarget& target, std::int64_t first, std::int64_t n, float* out)>;

struct Piece {
  std::size_t target = 0;
  std::int64_t begin = 0, end = 0;
};

std::vector<Piece> pieces_of(const std::vector<AdditiveTarget>& targets) {
  std::vector<Piece> pieces;
  for (std::size_t t = 0; t < targets.size(); ++t) {
    const std::int64_t rows = (targets[t].outputs + kPieces - 1) / kPieces;
    for (std::int64_t begin = 0; begin < targets[t].outputs; begin += rows)
      pieces.push_back({t, begin, std::min(begin + rows, targets[t].outputs)});
  }
  return pieces;
}

// Adds factor * each group of a row to the sums of its codewords. sums [M, K, g]
void add_by_code(const AdditiveTarget& target, const AdditiveFormat& format, std::int64_t row, double factor,
                 const float* values, std::vector<double>& sums) {
  const std::uint16_t* code = target.codes.data() + row * target.groups * format.codebooks;
  for (std::int64_t j = 0; j < target.groups; ++j, values += format.group)
    for (int m = 0; m < format.codebooks; ++m, ++code) {
      double* const sum = sums.data() + (m * format.entries() + *code) * format.group;
      for (std::int64_t d = 0; d < format.group; ++d) sum[d] += factor * values[d];
    }
}

// For every codeword the sum, over the groups that have its code, of share * s_i * (Y Sigma)[i, j].
std::vector<double> gathered(const std::vector<AdditiveTarget>& targets, const AdditiveFormat& format, const Work& work,
                             const Rows& fill) {
  const std::vector<Piece> pieces = pieces_of(targets);
  const auto size = static_cast<std::size_t>(format.codebooks * format.entries() * format.group);
  std::vector<std::vector<double>> sums(pieces.size());
  for_each_block(work, Part::none(), std::ssize(pieces), 1, [&](std::int64_t at, std::int64_t) {
    const Piece& piece = pieces[static_cast<std::size_t>(at)];
    const AdditiveTarget& target = targets[piece.target];
    std::vector<double>& own = sums[static_cast<std::size_t>(at)];
    own.resize(size);
    for (std::int64_t first = piece.begin; first < piece.end; first += kPieceRows) {
      const std::int64_t n = std::min(kPieceRows, piece.end - first);
      std::vector<float> rows(static_cast<std::size_t>(n * target.columns)), weighed(rows.size());
      fill(target, first, n, rows.data());
      multiply(view(std::as_const(rows), n, target.columns), target.all_moments(), view(weighed, n, target.columns));
      for (std::int64_t r = 0; r < n; ++r)
        add_by_code(target, format, first + r, target.share * target.scales[static_cast<std::size_t>(first + r)],
                    weighed.data() + r * target.columns, own);
    }
  });
  std::vector<double> result(size);
  for (const std::vector<double>& own : sums)
    for (std::size_t i = 0; i < size; ++i) result[i] += own[i];
  return result;
}

// The Hessian's diagonal, to precondition with.
std::vector<double> diagonal(const std::vector<AdditiveTarget>& targets, const AdditiveFormat& format) {
  std::vector<double> result(static_cast<std::size_t>(format.codebooks * format.entries() * format.group));
  for (const AdditiveTarget& target : targets) {
    std::vector<float> own(static_cast<std::size_t>(target.columns));
    for (std::int64_t c = 0; c < target.columns; ++c)
      own[static_cast<std::size_t>(c)] = target.moments[static_cast<std::size_t>(c * (target.columns + 1))];
    for (std::int64_t r = 0; r < target.outputs; ++r) {
      const double scale = target.scales[static_cast<std::size_t>(r)];
      add_by_code(target, format, r, target.share * scale * scale, own.data(), result);
    }
  }
  return result;
}

double dot(const std::vector<double>& left, const std::vector<double>& right) {
  double sum = 0;
  for (std::size_t i = 0; i < left.size(); ++i) sum += left[i] * right[i];
  return sum;
}

}  // namespace

// E / 2 has the gradient -gathered(W - W') and the Hessian p -> gathered(s p's codewords).
void improve_codebooks(const std::vector<AdditiveTarget>& targets, Codebooks& codebooks, int steps, const Work& work) {
  const AdditiveFormat& format = codebooks.format;
  std::vector<double> left = gathered(
      targets, format, work, [&](const AdditiveTarget& target, std::int64_t first, std::int64_t n, float* out) {
        residual(target, codebooks, first, n, out);
      });
  const std::vector<double> hessian = diagonal(targets, format);
  const auto preconditioned = [&] {
    std::vector<double> result(left.size());
    for (std::size_t i = 0; i < left.size(); ++i) result[i] = hessian[i] > 0 ? left[i] / hessian[i] : 0;
    return result;
  };
  std::vector<double> turned = preconditioned(), direction = turned, numbers(left.size());
  std::copy(codebooks.numbers.begin(), codebooks.numbers.end(), numbers.begin());
  double size = dot(left, turned);
  const double enough = kSmallEnough * size;
  for (int step = 0; step < steps && size > enough; ++step) {
    const std::vector<float> along(direction.begin(), direction.end());
    const std::vector<double> bent = gathered(
        targets, format, work, [&](const AdditiveTarget& target, std::int64_t first, std::int64_t n, float* out) {
          sum_codewords(target, format, along, first, n, out);
          for (std::int64_t i = 0; i < n * target.columns; ++i)
            out[i] *= target.scales[static_cast<std::size_t>(first + i / target.columns)];
        });
    const double curvature = dot(direction, bent);
    if (!(curvature > 0)) break;
    const double length = size / curvature;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] += length * direction[i];
      left[i] -= length * bent[i];
    }
    turned = preconditioned();
    const double next = dot(left, turned);
    for (std::size_t i = 0; i < direction.size(); ++i) direction[i] = turned[i] + next / size * direction[i];
    size = next;
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) codebooks.numbers[i] = static_cast<float>(numbers[i]);
}

}  // namespace fabula::compress
