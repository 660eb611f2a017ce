#pragma once
#include <cstdint>

namespace fabula {

/// A label that does not count: no loss, no gradient.
inline constexpr std::uint32_t kIgnoredLabel = 0xFFFFFFFFu;

}  // namespace fabula
