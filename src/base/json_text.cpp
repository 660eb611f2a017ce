#include "base/json_text.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "base/fail.hpp"
#include "base/file_kind.hpp"

namespace fabula {

using nlohmann::json;

std::string json_message(std::string_view what) {
  const std::size_t end = what.find("] ");
  return std::string(what.starts_with('[') && end != what.npos ? what.substr(end + 2) : what);
}

json parse_json(std::string_view text, std::string_view source, const JsonLimits& limits) {
  refuse_git_lfs_pointer(text, source);
  if (text.size() > limits.max_bytes) {
    fail(ErrorCode::kFormat, "{}: {} bytes of JSON, at most {} are expected", source, text.size(), limits.max_bytes);
  }
  std::vector<std::unordered_set<std::string>> keys_seen;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      if (depth >= limits.max_depth) {
        fail(ErrorCode::kFormat, "{}: JSON nested deeper than {} levels", source, limits.max_depth);
      }
      if (event == json::parse_event_t::object_start) keys_seen.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      keys_seen.pop_back();
    } else if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys_seen.back().insert(key).second)
        fail(ErrorCode::kFormat, "{}: the key \"{}\" is there twice", source, key);
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception& error) {
    fail(ErrorCode::kFormat, "{}: not valid JSON: {}", source, json_message(error.what()));
  }
}

}  // namespace fabula
