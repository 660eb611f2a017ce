#pragma once
#include <array>
#include <cstdint>

#include "graph/op.hpp"

namespace fabula::ops {

/// The classes [K, G, c] of x [N, K + G c], by the attributes of prototype_scores; G = 0 when they do not fit.
struct PrototypeClasses {
  static constexpr std::int64_t kMostPrototypes = 7000;  ///< an invocation loops 8 c times; drivers stop at 65,535
  std::int64_t plain, groups, prototypes;
  PrototypeClasses(const graph::Attrs& attrs, std::int64_t columns)
      : plain(attrs.integer("plain")), groups(0), prototypes(attrs.integer("prototypes")) {
    if (plain >= 0 && prototypes > 0 && prototypes <= kMostPrototypes && columns > plain &&
        (columns - plain) % prototypes == 0)
      groups = (columns - plain) / prototypes;
  }
  std::int64_t classes() const { return plain + groups; }
  /// The push constants of both shaders.
  std::array<std::uint32_t, 4> push(std::int64_t rows) const {
    return {std::uint32_t(rows), std::uint32_t(plain), std::uint32_t(groups), std::uint32_t(prototypes)};
  }
};

}  // namespace fabula::ops
