#include "compress/coded_table.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/fail.hpp"
#include "base/half.hpp"
#include "compress/candidates.hpp"
#include "compress/clusters.hpp"

namespace fabula::compress {
namespace {

constexpr int kMostTableBits = 16, kMostStages = 64;

void check_table(std::span<const float> table, std::int64_t columns, std::size_t weights, const TableOptions& options) {
  const TableFormat& format = options.format;
  if (format.piece < 1 || format.stages < 1 || format.stages > kMostStages || format.bits < 1 ||
      format.bits > kMostTableBits || format.block < 1 || options.cluster_rounds < 1 || options.refinements < 0)
    fail(ErrorCode::kInvalidArgument,
         "a table in pieces of {} with {} stages of {} bits, in blocks of {}: there are pieces and blocks from 1 on, 1 "
         "to {} stages of 1 to {} bits",
         format.piece, format.stages, format.bits, format.block, kMostStages, kMostTableBits);
  const std::int64_t numbers = std::ssize(table);
  if (columns < 1 || numbers < columns || numbers % columns != 0)
    fail(ErrorCode::kInvalidArgument, "a table of {} numbers in rows of {}", numbers, columns);
  if (weights > 0 && static_cast<std::int64_t>(weights) != numbers / columns)
    fail(ErrorCode::kInvalidArgument, "{} weights for {} rows of a table", weights, numbers / columns);
  for (std::int64_t i = 0; i < numbers; ++i)
    if (!std::isfinite(table[static_cast<std::size_t>(i)]))
      fail(ErrorCode::kNumeric, "row {}, column {} of a table is not finite", i / columns, i % columns);
}

/// The pieces of a group: their values, weights and places among all pieces.
struct Pieces {
  std::vector<float> values;   // [count, piece]
  std::vector<float> weights;  // [count]
  std::vector<std::int64_t> places;
};

std::vector<Pieces> pieces_by_group(std::span<const float> table, std::span<const float> weights,
                                    const CodedTable& of) {
  std::vector<Pieces> groups(static_cast<std::size_t>(of.groups()));
  for (std::int64_t row = 0; row < of.rows; ++row)
    for (std::int64_t p = 0; p < of.pieces(); ++p) {
      Pieces& group = groups[static_cast<std::size_t>(of.group_of(row, p))];
      group.places.push_back(row * of.pieces() + p);
      group.weights.push_back(weights.empty() ? 1.0f : weights[static_cast<std::size_t>(row)]);
      for (std::int64_t c = p * of.format.piece; c < (p + 1) * of.format.piece; ++c)
        group.values.push_back(c < of.columns ? table[static_cast<std::size_t>(row * of.columns + c)] : 0.0f);
    }
  return groups;
}

// A stage's centroids become the weighted means of what their pieces need of it, then its codes the nearest of them.
// `left`: pieces less the sum of all stages, kept up to date.
void refine_stage(const Pieces& pieces, const TableFormat& format, int stage, ResidualStages& stages,
                  std::vector<float>& left) {
  const auto dims = static_cast<std::size_t>(format.piece), all = static_cast<std::size_t>(format.stages),
             own = static_cast<std::size_t>(stage), count = pieces.places.size();
  const auto book = static_cast<std::size_t>(format.centroids()) * dims;
  float* const centres = stages.centres.data() + own * book;
  std::vector<double> sums(book), weights(static_cast<std::size_t>(format.centroids()));
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = stages.codes[i * all + own];
    weights[k] += pieces.weights[i];
    for (std::size_t d = 0; d < dims; ++d) {
      left[i * dims + d] += centres[k * dims + d];
      sums[k * dims + d] += double{pieces.weights[i]} * left[i * dims + d];
    }
  }
  for (std::size_t i = 0; i < book; ++i)
    if (weights[i / dims] > 0) centres[i] = static_cast<float>(sums[i] / weights[i / dims]);
  const Candidates candidates({centres, book}, format.piece);
  for (std::size_t i = 0; i < count; ++i) {
    const auto k =
        static_cast<std::size_t>(candidates.best(left.data() + i * dims, candidates.half_squares().data(), 1).at);
    stages.codes[i * all + own] = static_cast<std::uint32_t>(k);
    for (std::size_t d = 0; d < dims; ++d) left[i * dims + d] -= centres[k * dims + d];
  }
}

ResidualStages fit_group(const Pieces& pieces, const TableOptions& options, std::uint64_t seed, std::size_t threads) {
  const TableFormat& format = options.format;
  std::vector<float> left = pieces.values;
  ResidualStages stages = residual_stages(left, format.piece, pieces.weights, format.stages,
                                          {format.centroids(), options.cluster_rounds, seed}, {.threads = threads});
  for (int sweep = 0; sweep < options.refinements; ++sweep)
    for (int stage = 0; stage < format.stages; ++stage) refine_stage(pieces, format, stage, stages, left);
  for (float& number : stages.centres) {
    const float rounded = half_to_float(float_to_half(number));
    if (!std::isfinite(rounded)) fail(ErrorCode::kNumeric, "a centroid of a table, {}, is beyond fp16", number);
    number = rounded;
  }
  return stages;
}

std::vector<std::uint32_t> most_frequent(std::span<const std::uint64_t> occurrences, std::int64_t rows,
                                         std::int64_t wanted) {
  std::vector<std::uint32_t> ids(static_cast<std::size_t>(rows));
  std::iota(ids.begin(), ids.end(), 0u);
  if (!occurrences.empty())
    std::stable_sort(ids.begin(), ids.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return occurrences[a] > occurrences[b]; });
  ids.resize(static_cast<std::size_t>(wanted));
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

std::int64_t CodedTable::groups() const {
  if (format.groups == PieceGroups::kColumns) return pieces();
  return format.groups == PieceGroups::kTable ? 1 : (rows * pieces() + format.block - 1) / format.block;
}

std::int64_t CodedTable::group_of(std::int64_t row, std::int64_t piece) const {
  if (format.groups == PieceGroups::kColumns) return piece;
  return format.groups == PieceGroups::kTable ? 0 : (row * pieces() + piece) / format.block;
}

std::int64_t CodedTable::bits() const {
  return std::ssize(codes) * format.bits + 16 * std::ssize(centroids);
}

std::vector<float> expand(const CodedTable& of) {
  std::vector<float> numbers(static_cast<std::size_t>(of.rows * of.columns));
  const TableFormat& format = of.format;
  const std::uint16_t* code = of.codes.data();
  for (std::int64_t row = 0; row < of.rows; ++row)
    for (std::int64_t p = 0; p < of.pieces(); ++p)
      for (int stage = 0; stage < format.stages; ++stage, ++code) {
        const std::int64_t book = of.group_of(row, p) * format.stages + stage;
        const float* const centroid = of.centroids.data() + (book * format.centroids() + *code) * format.piece;
        const std::int64_t first = p * format.piece, n = std::min(format.piece, of.columns - first);
        for (std::int64_t d = 0; d < n; ++d)
          numbers[static_cast<std::size_t>(row * of.columns + first + d)] += centroid[d];
      }
  return numbers;
}

std::vector<float> row_weights(std::int64_t rows, std::span<const std::uint64_t> occurrences) {
  std::vector<float> weights(static_cast<std::size_t>(rows));
  for (std::size_t row = 0; row < weights.size(); ++row) {
    const double count = occurrences.empty() ? static_cast<double>(rows) / static_cast<double>(row + 1)
                                             : static_cast<double>(occurrences[row]);
    weights[row] = static_cast<float>(std::sqrt(count + 1));
  }
  return weights;
}

FitError table_error(std::span<const float> table, std::span<const float> fitted, std::int64_t columns,
                     std::span<const float> weights) {
  ensure(table.size() == fitted.size(), "{} numbers for a table of {}", fitted.size(), table.size());
  FitError error;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const double weight = weights.empty() ? 1 : weights[i / static_cast<std::size_t>(columns)];
    const double off = double{table[i]} - fitted[i];
    error.squared += weight * off * off;
    error.signal += weight * table[i] * table[i];
  }
  return error;
}

CodedTable fit_table(std::span<const float> table, std::int64_t columns, std::span<const float> weights,
                     const TableOptions& options, const Work& work) {
  check_table(table, columns, weights.size(), options);
  CodedTable result{.format = options.format, .rows = std::ssize(table) / columns, .columns = columns};
  const TableFormat& format = result.format;
  const std::vector<Pieces> groups = pieces_by_group(table, weights, result);
  const std::int64_t book = format.stages * format.centroids() * format.piece;
  result.codes.resize(static_cast<std::size_t>(result.rows * result.pieces() * format.stages));
  result.centroids.resize(static_cast<std::size_t>(result.groups() * book));
  for_each_block(work, {}, result.groups(), 1, [&](std::int64_t at, std::int64_t) {
    const Pieces& pieces = groups[static_cast<std::size_t>(at)];
    const ResidualStages stages =
        fit_group(pieces, options, options.seed + static_cast<std::uint64_t>(at * format.stages),
                  result.groups() == 1 ? work.threads : 1);
    std::copy(stages.centres.begin(), stages.centres.end(), result.centroids.begin() + at * book);
    for (std::size_t i = 0; i < pieces.places.size(); ++i)
      for (std::int64_t stage = 0; stage < format.stages; ++stage)
        result.codes[static_cast<std::size_t>(pieces.places[i] * format.stages + stage)] = static_cast<std::uint16_t>(
            stages.codes[i * static_cast<std::size_t>(format.stages) + static_cast<std::size_t>(stage)]);
  });
  return result;
}

std::int64_t BandedTable::bits() const {
  const std::int64_t numbers = std::ssize(band_rows.scales) + std::ssize(band_rows.offsets);
  const std::int64_t map = band.empty() || rest.rows == 0 ? 0 : rows;
  return std::ssize(band_rows.codes) * band_rows.format.bits + 16 * numbers + map + rest.bits();
}

BandedTable fit_banded(std::span<const float> table, std::int64_t columns, std::span<const std::uint64_t> occurrences,
                       const BandOptions& options, const Work& work) {
  check_table(table, columns, occurrences.size(), options.rest);
  BandedTable result{.rows = std::ssize(table) / columns, .columns = columns};
  if (options.band < 0 || options.band > result.rows)
    fail(ErrorCode::kInvalidArgument, "a band of {} rows of a table of {}", options.band, result.rows);
  result.band = most_frequent(occurrences, result.rows, options.band);
  const std::vector<float> weights = row_weights(result.rows, occurrences);
  std::vector<float> kept, rest, rest_weights;
  for (std::int64_t row = 0, next = 0; row < result.rows; ++row) {
    const bool in_band = next < options.band && result.band[static_cast<std::size_t>(next)] == row;
    std::vector<float>& to = in_band ? kept : rest;
    to.insert(to.end(), table.begin() + row * columns, table.begin() + (row + 1) * columns);
    if (in_band)
      ++next;
    else
      rest_weights.push_back(weights[static_cast<std::size_t>(row)]);
  }
  if (!kept.empty())
    result.band_rows =
        round_to_nearest({options.band, columns, kept}, {options.band_format, false}, {.threads = work.threads}).codes;
  result.rest.format = options.rest.format;
  result.rest.columns = columns;
  if (!rest.empty()) result.rest = fit_table(rest, columns, rest_weights, options.rest, work);
  return result;
}

std::vector<float> expand(const BandedTable& of) {
  std::vector<float> numbers(static_cast<std::size_t>(of.rows * of.columns));
  const std::vector<float> kept = expand(of.band_rows), rest = expand(of.rest);
  std::int64_t next = 0;
  for (std::int64_t row = 0; row < of.rows; ++row) {
    const bool in_band = next < std::ssize(of.band) && of.band[static_cast<std::size_t>(next)] == row;
    const float* const from = in_band ? kept.data() + next * of.columns : rest.data() + (row - next) * of.columns;
    std::copy_n(from, of.columns, numbers.begin() + row * of.columns);
    next += in_band ? 1 : 0;
  }
  return numbers;
}

}  // namespace fabula::compress
