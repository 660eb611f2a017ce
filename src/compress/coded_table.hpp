#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "compress/group_codes.hpp"

// Rows of a token embedding as a few short codes each, in the manner of CARVQ (Gou et al., 2025): a row is cut into
// pieces, and a piece is a sum of centroids, one a stage.
namespace fabula::compress {

/// Which pieces share centroids.
enum class PieceGroups : std::uint8_t {
  kColumns,    ///< those at the same place of all rows: few centroids, since there are few places
  kRowBlocks,  ///< so many pieces that follow each other, row by row: the paper's
  kTable       ///< all of them: for tables of a few thousand rows
};

struct TableFormat {
  std::int64_t piece = 8;  ///< columns; a row's last piece may be shorter
  int stages = 2;          ///< centroids that a piece is the sum of
  int bits = 4;            ///< of a code, 1 to 16
  PieceGroups groups = PieceGroups::kColumns;
  std::int64_t block = 1024;  ///< pieces of a row block

  std::int64_t centroids() const { return std::int64_t{1} << bits; }
};

struct CodedTable {
  TableFormat format = {};
  std::int64_t rows = 0, columns = 0;
  std::vector<float> centroids = {};      ///< [groups(), stages, 2^bits, piece], each number one of fp16's
  std::vector<std::uint16_t> codes = {};  ///< [rows, pieces(), stages]

  std::int64_t pieces() const { return (columns + format.piece - 1) / format.piece; }
  std::int64_t groups() const;
  std::int64_t group_of(std::int64_t row, std::int64_t piece) const;
  /// Of codes at their width and centroids in fp16, nothing padded.
  std::int64_t bits() const;
};

/// The rows [rows, columns].
std::vector<float> expand(const CodedTable& of);

/// What rows count: sqrt(occurrences + 1). Without occurrences a token's id stands in for its rank: a vocabulary is
/// mostly in the order in which its tokens were found, and the occurrences of rank r are taken for rows / (r + 1).
std::vector<float> row_weights(std::int64_t rows, std::span<const std::uint64_t> occurrences = {});

/// The weighted squared error and signal of other rows in the place of a table's.
FitError table_error(std::span<const float> table, std::span<const float> fitted, std::int64_t columns,
                     std::span<const float> weights);

struct TableOptions {
  TableFormat format;
  std::uint64_t seed = 0;
  int cluster_rounds = 100;
  int refinements = 4;  ///< sweeps over all stages' codes and centroids, after each has been fitted to what was left
};

/// Residual k-means in each group of pieces, rows counting by `weights` ([rows]; none: alike); then codes and centroids
/// are refined stage by stage. The same seed gives the same codes. Errors: kInvalidArgument for a format that there is
/// not or sizes that disagree; kNumeric for a number that is not finite or beyond fp16.
CodedTable fit_table(std::span<const float> table, std::int64_t columns, std::span<const float> weights,
                     const TableOptions& options, const Work& work = {});

/// A table of which the most frequent rows keep more bits.
struct BandedTable {
  std::int64_t rows = 0, columns = 0;
  std::vector<std::uint32_t> band = {};  ///< their ids, rising
  GroupCodes band_rows = {};             ///< [band.size(), columns]; unused for no band
  CodedTable rest = {};                  ///< the other rows, in order; of none for a band of all

  /// Stored bits of codes, scales, offsets and centroids, and one a row for the band's map.
  std::int64_t bits() const;
};

struct BandOptions {
  std::int64_t band = 0;  ///< rows
  GroupFormat band_format = {.bits = 8, .group = 32, .offsets = false};
  TableOptions rest = {};
};

/// The `band` rows of most occurrences, the first of equals, are rounded to nearest; the rest is fit_table's.
BandedTable fit_banded(std::span<const float> table, std::int64_t columns, std::span<const std::uint64_t> occurrences,
                       const BandOptions& options, const Work& work = {});

/// The rows [rows, columns].
std::vector<float> expand(const BandedTable& of);

}  // namespace fabula::compress
