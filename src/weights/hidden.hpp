#pragma once
#include "base/fail.hpp"
#include "graph/graph.hpp"

namespace fabula::weights {

/// Hidden vectors [N, D] as products read them.
struct Hidden {
  graph::Value x;
  /// Given for few rows of slots ([1, 4 N], base/decode_slot.hpp): each product is one row_product.
  graph::Value places = {};
  /// The norm of x that is still to be done in each product: row_product's attributes norm and eps; 0: none.
  std::int64_t norm = 0;
  double eps = 0;
  graph::Value norm_weight = {}, norm_bias = {};

  Hidden(graph::Value value) : x(value) {}  // NOLINT: a plain value is read as it is
  /// Other vectors of the same rows, as they are.
  Hidden with(graph::Value vectors) const {
    Hidden other(vectors);
    other.places = places;
    return other;
  }
  /// The vectors themselves, of which nothing is left to be done.
  operator graph::Value() const {  // NOLINT
    ensure(norm == 0, "a norm of hidden vectors is left to be done");
    return x;
  }
};

}  // namespace fabula::weights
