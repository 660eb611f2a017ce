#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace fabula::reference {

/// A group map for checks, in map order: group g of `groups` has slots - empty - g % 3 real slots, at least one.
struct CompactMap {
  std::vector<std::uint32_t> at;      ///< [M]: g * slots + s of a compact index
  std::vector<std::uint32_t> starts;  ///< [G + 1]: the first compact index of a group, and M
  CompactMap(std::int64_t groups, std::int64_t slots, std::int64_t empty = 0) : starts{0} {
    for (std::int64_t g = 0; g < groups; ++g) {
      for (std::int64_t s = 0; s < std::max<std::int64_t>(slots - empty - g % 3, 1); ++s)
        at.push_back(static_cast<std::uint32_t>(g * slots + s));
      starts.push_back(static_cast<std::uint32_t>(at.size()));
    }
  }
  std::int64_t tokens() const { return static_cast<std::int64_t>(at.size()); }
};

}  // namespace fabula::reference
