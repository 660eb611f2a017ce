#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "formats/json_access.hpp"

namespace fabula::app {

using Json = nlohmann::ordered_json;

/// A number for JSON, null where there is none.
inline Json number(double value) {
  return json_number(value);
}

/// Bytes that are not UTF-8 show as U+FFFD in JSON.
inline std::string dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fabula::app
