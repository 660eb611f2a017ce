#pragma once
#include <fmt/format.h>

#include <string>

namespace fabula {

/// A perplexity with so many decimals; beyond a million as a power (1.23e+07), whose digits mean something.
inline std::string perplexity_text(double perplexity, int decimals) {
  return perplexity > 1e6 ? fmt::format("{:.2e}", perplexity) : fmt::format("{:.{}f}", perplexity, decimals);
}

}  // namespace fabula
