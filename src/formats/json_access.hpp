#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/json_text.hpp"

namespace fabula {

/// The text of a value for a message, cut where it is long.
std::string json_excerpt(const nlohmann::json& value);

/// A number for JSON, null where there is none.
nlohmann::ordered_json json_number(double value);

/// The text of a value; bytes that are not UTF-8 become U+FFFD. indent -1 is one line.
std::string dump_json(const nlohmann::json& value, int indent = -1);
std::string dump_json(const nlohmann::ordered_json& value, int indent = -1);

}  // namespace fabula
