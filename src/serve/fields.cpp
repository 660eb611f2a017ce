#include "serve/fields.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "formats/json_access.hpp"
#include "serve/errors.hpp"

namespace fabula::serve {
using nlohmann::json;

void refuse_field(const std::string& name, const std::string& what) {
  throw RequestError(400, fmt::format("\"{}\" {}", name, what), name);
}

std::optional<std::int64_t> whole_number(const json& value, std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) return {};
  if (value.is_number_integer()) {
    number = value.get<std::int64_t>();
  } else if (value.is_number_float()) {
    const double real = value.get<double>();
    if (!(std::abs(real) < 0x1p53) || std::floor(real) != real) return {};
    number = static_cast<std::int64_t>(real);
  } else {
    return {};
  }
  if (number < least || number > most) return {};
  return number;
}

std::optional<std::vector<std::uint32_t>> token_ids(const json& value) {
  if (!value.is_array()) return {};
  std::vector<std::uint32_t> ids;
  ids.reserve(value.size());
  for (const json& entry : value) {
    const std::optional<std::int64_t> id = whole_number(entry, 0, UINT32_MAX);
    if (!id) return {};
    ids.push_back(static_cast<std::uint32_t>(*id));
  }
  return ids;
}

Fields::Fields(const json& object) : object_(object) {
  if (!object.is_object()) throw RequestError(400, "the body is not a JSON object; send one, as {\"prompt\": \"...\"}");
}

const json* Fields::find(const char* name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::optional<double> Fields::number(const char* name, double least, double most) const {
  const json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_number() || !(value->get<double>() >= least && value->get<double>() <= most))
    refuse_field(name, fmt::format("is {}; a number from {} to {} is expected", json_excerpt(*value), least, most));
  return value->get<double>();
}

std::optional<std::int64_t> Fields::whole(const char* name, std::int64_t least, std::int64_t most) const {
  const json* value = find(name);
  if (value == nullptr) return {};
  const std::optional<std::int64_t> number = whole_number(*value, least, most);
  if (!number)
    refuse_field(name,
                 fmt::format("is {}; a whole number from {} to {} is expected", json_excerpt(*value), least, most));
  return number;
}

bool Fields::flag(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return false;
  if (!value->is_boolean()) refuse_field(name, fmt::format("is {}; true or false is expected", json_excerpt(*value)));
  return value->get<bool>();
}

std::optional<std::string> Fields::text(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_string()) refuse_field(name, fmt::format("is {}; a string is expected", json_excerpt(*value)));
  return value->get<std::string>();
}

std::optional<std::vector<std::uint32_t>> Fields::ids(const char* name) const {
  const json* value = find(name);
  if (value == nullptr) return {};
  std::optional<std::vector<std::uint32_t>> list = token_ids(*value);
  if (!list) refuse_field(name, fmt::format("is {}; a list of token ids is expected", json_excerpt(*value)));
  return list;
}

}  // namespace fabula::serve
