#include "maps/token_vectors.hpp"

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "base/parallel.hpp"
#include "maps/linear_algebra.hpp"
#include "maps/token_counts.hpp"

namespace fabula::maps {
namespace {

constexpr std::size_t kContexts = 1000;                        // C: neighbours that are told apart
constexpr std::int64_t kRank = 64;                             // numbers a token
constexpr std::uint64_t kMaxTokens = std::uint64_t{64} << 20;  // of text; more changes no cluster that matters
constexpr std::uint64_t kStretches = 64;
constexpr std::uint32_t kNone = 0xFFFFFFFFu;

std::vector<std::uint32_t> seen_by_frequency(std::span<const std::uint64_t> counts) {
  std::vector<std::uint32_t> tokens = tokens_by_frequency(counts);
  tokens.resize(static_cast<std::size_t>(
      std::partition_point(tokens.begin(), tokens.end(), [&](std::uint32_t t) { return counts[t] > 0; }) -
      tokens.begin()));
  return tokens;
}

// Calls pair(left, right) for the neighbours in the file, or in evenly spaced stretches of a long one.
template <class Pair>
void for_each_pair(const text::TokenFile& file, const Pair& pair) {
  const std::uint64_t size = file.size(), stretches = size > kMaxTokens ? kStretches : 1;
  for (std::uint64_t stretch = 0; stretch < stretches; ++stretch) {
    const std::uint64_t first = stretch * (size / stretches), length = std::min(size, kMaxTokens) / stretches;
    std::uint32_t left = kNone;
    file.for_each_run(first, length, [&](std::span<const std::uint32_t> tokens) {
      for (const std::uint32_t right : tokens) {
        if (left != kNone) pair(left, right);
        left = right;
      }
    });
  }
}

// How often each seen token (a row, by rank) has each context to its right (columns 0..C-1) and left (C..2C-1).
class NeighbourCounts {
 public:
  NeighbourCounts(const text::TokenFile& file, std::span<const std::uint32_t> seen, std::size_t threads)
      : contexts_(static_cast<std::uint32_t>(std::min(seen.size(), kContexts))), threads_(threads) {
    std::vector<std::uint32_t> rank(file.vocab_size(), kNone);
    for (std::size_t i = 0; i < seen.size(); ++i) rank[seen[i]] = static_cast<std::uint32_t>(i);
    begin_.assign(seen.size() + 1, 0);
    for_each_pair(file, [&](std::uint32_t left, std::uint32_t right) {
      if (rank[right] < contexts_) ++begin_[rank[left] + 1];
      if (rank[left] < contexts_) ++begin_[rank[right] + 1];
    });
    for (std::size_t row = 1; row < begin_.size(); ++row) begin_[row] += begin_[row - 1];
    columns_.resize(begin_.back());
    std::vector<std::size_t> next(begin_.begin(), begin_.end() - 1);
    for_each_pair(file, [&](std::uint32_t left, std::uint32_t right) {
      const std::uint32_t l = rank[left], r = rank[right];
      if (r < contexts_) columns_[next[l]++] = static_cast<std::uint16_t>(r);
      if (l < contexts_) columns_[next[r]++] = static_cast<std::uint16_t>(contexts_ + l);
    });
  }

  // max(0, log(n(row, column) total / (n(row) n(column))))
  SparseRows positive_pmi() {
    std::vector<double> column_sums(columns());
    for (const std::uint16_t column : columns_) ++column_sums[column];
    const auto total = static_cast<double>(columns_.size());
    const std::size_t rows = begin_.size() - 1;
    std::vector<std::vector<std::pair<std::uint32_t, float>>> entries(rows);
    parallel_for(threads_, rows, [&](std::size_t, std::size_t row) {
      const auto first = columns_.begin() + static_cast<std::ptrdiff_t>(begin_[row]),
                 last = columns_.begin() + static_cast<std::ptrdiff_t>(begin_[row + 1]);
      std::sort(first, last);
      for (auto at = first; at != last;) {
        const auto next = std::find_if(at, last, [&](std::uint16_t column) { return column != *at; });
        const double pmi =
            std::log(static_cast<double>(next - at) * total / (static_cast<double>(last - first) * column_sums[*at]));
        if (pmi > 0) entries[row].emplace_back(*at, static_cast<float>(pmi));
        at = next;
      }
    });
    SparseRows result;
    result.columns = static_cast<std::int64_t>(columns());
    for (const auto& row : entries) {
      for (const auto& [column, value] : row) {
        result.column.push_back(column);
        result.value.push_back(value);
      }
      result.begin.push_back(result.column.size());
    }
    return result;
  }

 private:
  std::size_t columns() const { return 2 * std::size_t{contexts_}; }

  std::uint32_t contexts_;
  std::size_t threads_;
  std::vector<std::size_t> begin_;      // [rows + 1]
  std::vector<std::uint16_t> columns_;  // one for each neighbour of each row
};

void normalise_rows(std::vector<float>& rows, std::int64_t dims) {
  for (std::size_t at = 0; at < rows.size(); at += static_cast<std::size_t>(dims)) {
    const std::span<float> row(rows.data() + at, static_cast<std::size_t>(dims));
    double squares = 0;
    for (const float value : row) squares += double{value} * value;
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (float& value : row) value = static_cast<float>(value * scale);
  }
}

}  // namespace

TokenVectors neighbour_vectors(const text::TokenFile& file, std::span<const std::uint64_t> counts, std::uint64_t seed,
                               std::size_t threads) {
  ensure(counts.size() == file.vocab_size(), "counts of {} tokens for a vocabulary of {}", counts.size(),
         file.vocab_size());
  TokenVectors vectors;
  vectors.tokens = seen_by_frequency(counts);
  SingularRows reduced =
      singular_rows(NeighbourCounts(file, vectors.tokens, threads).positive_pmi(), kRank, seed, threads);
  vectors.dims = reduced.rank;
  vectors.rows = std::move(reduced.values);
  normalise_rows(vectors.rows, vectors.dims);
  return vectors;
}

TokenVectors embedding_vectors(std::span<const float> table, std::int64_t dims, std::span<const std::uint64_t> counts,
                               std::string_view source) {
  const auto width = static_cast<std::size_t>(dims);
  ensure(dims > 0 && table.size() == counts.size() * width, "{} numbers are no table of {} rows of {}", table.size(),
         counts.size(), dims);
  TokenVectors vectors;
  vectors.tokens = seen_by_frequency(counts);
  vectors.dims = dims;
  vectors.rows.reserve(vectors.tokens.size() * width);
  for (const std::uint32_t token : vectors.tokens) {
    const std::span<const float> row = table.subspan(token * width, width);
    if (!std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); }))
      fail(ErrorCode::kFormat, "{}: the embedding of token {} is not finite; the model is broken", source, token);
    vectors.rows.insert(vectors.rows.end(), row.begin(), row.end());
  }
  normalise_rows(vectors.rows, dims);
  return vectors;
}

TokenVectors relative_embedding_vectors(std::span<const float> table, std::int64_t dims,
                                        std::span<const std::uint64_t> counts, std::string_view source) {
  const auto width = static_cast<std::size_t>(dims);
  ensure(dims > 0 && table.size() == counts.size() * width, "{} numbers are no table of {} rows of {}", table.size(),
         counts.size(), dims);
  std::vector<double> mean(width, 0);
  double seen = 0;
  for (std::size_t v = 0; v < counts.size(); ++v) {
    if (counts[v] == 0) continue;
    ++seen;
    for (std::size_t d = 0; d < width; ++d) mean[d] += table[v * width + d];
  }
  std::vector<float> rows(table.begin(), table.end());
  if (seen > 0)
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(rows[i] - mean[i % width] / seen);
  return embedding_vectors(rows, dims, counts, source);
}

}  // namespace fabula::maps
