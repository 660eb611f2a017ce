#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "graph/op.hpp"

// How nodes of a model become cases that are checked in a bounded time: OpDef::sized.
namespace fabula::graph {

/// A node's own computation as a case: its widths, its types and attributes, on few rows. An input repeats its tile in
/// both directions, so that every element of an output has its equal in the output that the reference computes from the
/// tiles alone, however wide the launch is.
struct SizedCase {
  OpCase launch;                  ///< what the device computes
  std::vector<Shape> tiles = {};  ///< by input; empty: the inputs themselves

  /// The launch with its inputs cut to their tiles: what the reference computes.
  OpCase small() const;
};

/// Periods of tiles: odd primes, so that an element that is off by a power of two is not its own equal.
inline constexpr std::int64_t kTileRows = 7, kTileColumns = 61;

/// A node as it is, with the draws and the tolerance of its op's first own case.
OpCase case_of(const NodeView& node);

/// OpDef::sized of ops whose rows have nothing to do with each other: every input has as many rows as the first, or is
/// read as a whole for each.
std::optional<SizedCase> sized_by_rows(const NodeView& node, std::int64_t rows);
/// The same of ops that may be given any number of rows, and sum over them.
std::optional<SizedCase> sized_by_fewer_rows(const NodeView& node, std::int64_t rows);

/// A tensor of `shape` that repeats a tile.
template <class T>
RefTensor<T> repeated(const RefTensor<T>& tile, const Shape& shape);

extern template RefTensor<double> repeated(const RefTensor<double>&, const Shape&);
extern template RefTensor<float> repeated(const RefTensor<float>&, const Shape&);

}  // namespace fabula::graph
