#pragma once
#include <algorithm>
#include <optional>
#include <string>

#include "convert/convert.hpp"

namespace fabula::app {

/// What --dtype says; nothing where it is not given. The flag's check lets no other name pass.
inline std::optional<convert::WeightType> weight_type(const std::string& name) {
  const auto* const found = std::find(std::begin(convert::kWeightTypeNames), std::end(convert::kWeightTypeNames), name);
  if (found == std::end(convert::kWeightTypeNames)) return {};
  return static_cast<convert::WeightType>(found - std::begin(convert::kWeightTypeNames));
}

}  // namespace fabula::app
