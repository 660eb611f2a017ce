#pragma once
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace fabula::app {

using Json = nlohmann::ordered_json;

/// A number for JSON, null where there is none.
inline Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

/// Bytes that are not UTF-8 show as U+FFFD in JSON.
inline std::string dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fabula::app
