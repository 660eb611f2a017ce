#pragma once
#include <string>
#include <vector>

#include "base/segments.hpp"
#include "graph/reference.hpp"

// What the two ops for the embedding's gradient share.
namespace fabula::reference {

/// Adds row n of d_y [N, D] to row ids[n] of d_table [V, D]; ids of V or more add nothing.
template <class T>
void add_by_id(const std::vector<std::uint32_t>& ids, const graph::RefTensor<T>& d_y, graph::RefTensor<T>& d_table) {
  std::vector<double> sum(d_table.f.begin(), d_table.f.end());
  for (std::int64_t n = 0; n < d_y.shape.rows; ++n) {
    const std::int64_t id = ids[static_cast<std::size_t>(n)];
    if (id >= d_table.shape.rows) continue;
    for (std::int64_t c = 0; c < d_y.shape.cols; ++c)
      sum[static_cast<std::size_t>(id * d_y.shape.cols + c)] += d_y.at(n, c);
  }
  for (std::size_t i = 0; i < sum.size(); ++i) d_table.f[i] = static_cast<T>(sum[i]);
}

struct IdCase {
  std::string name;
  std::int64_t positions, vocabulary, columns;
  std::uint32_t frequent;  ///< of 10 positions, how many have id 1

  /// ids [1, N], order [1, N], segments, d_y [N, D].
  std::vector<graph::OpCase::Input> inputs() const {
    const auto word = graph::DType::kU32;
    return {{.shape = {1, positions}, .dtype = word},
            {.shape = {1, positions}, .dtype = word},
            {.shape = {1, SegmentCapacity{positions, vocabulary}.words()}, .dtype = word},
            {.shape = {positions, columns}}};
  }
  /// Fills the ids, which are input number `first`, and the plan behind them.
  void fill(std::vector<graph::RefTensor<double>>& in, std::size_t first, Philox& random) const {
    auto& ids = in[first].u;
    // One id more than the table has rows: those positions add nothing.
    for (auto& id : ids)
      id = random.below(10) < frequent ? 1 : random.below(static_cast<std::uint32_t>(vocabulary) + 1);
    SegmentPlan plan = plan_segments(ids, vocabulary);
    in[first + 1].u = plan.order;
    in[first + 2].u = plan.segments;
  }
};

inline std::vector<IdCase> id_cases() {
  return {{"odd_37x11x33", 37, 11, 33, 2},        {"one", 1, 1, 1, 0},
          {"frequent_1500x7x18", 1500, 7, 18, 8}, {"exactly_one_chunk_64", 64, 2, 5, 10},
          {"just_two_chunks_65", 65, 2, 5, 10},   {"wide_70x200x513", 70, 200, 513, 3}};
}

}  // namespace fabula::reference
