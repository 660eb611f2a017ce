#include "formats/json_access.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace fabula {
namespace {

using nlohmann::json;

template <class Json>
std::string dump(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string json_excerpt(const json& value) {
  constexpr std::size_t kMost = 60;
  std::string text = dump(value, -1);
  if (text.size() > kMost) text.replace(kMost, text.npos, "...");
  return text;
}

nlohmann::ordered_json json_number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

std::string dump_json(const json& value, int indent) {
  return dump(value, indent);
}
std::string dump_json(const nlohmann::ordered_json& value, int indent) {
  return dump(value, indent);
}

}  // namespace fabula
