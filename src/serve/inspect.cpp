#include "serve/inspect.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "formats/json_access.hpp"

namespace fabula::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr double kLeastLogprob = -9999;

std::uint32_t read_id(const json& value, std::string_view key) {
  const bool whole =
      value.is_number_unsigned() && value.get<std::uint64_t>() <= std::numeric_limits<std::uint32_t>::max();
  if (!whole) fail(ErrorCode::kInvalidArgument, "\"{}\" has {}, expected the id of a token", key, json_excerpt(value));
  return value.get<std::uint32_t>();
}

std::vector<std::uint32_t> read_ids(const json& value, std::string_view key) {
  if (!value.is_array())
    fail(ErrorCode::kInvalidArgument, "\"{}\" is {}, expected a list of ids", key, json_excerpt(value));
  std::vector<std::uint32_t> ids;
  for (const json& id : value) ids.push_back(read_id(id, key));
  return ids;
}

/// The value of a key; null where it is missing.
const json& at(const json& request, const char* key) {
  static const json none;
  const auto it = request.find(key);
  return it == request.end() ? none : *it;
}

double finite(double log_p) {
  return std::max(log_p, kLeastLogprob);
}

ordered_json token_json(const infer::LikelyToken& token, const TokenName& name) {
  return {{"id", token.id}, {"text", name(token.id)}, {"logprob", finite(token.log_p)}};
}

ordered_json tokens_json(const std::vector<infer::LikelyToken>& tokens, const TokenName& name) {
  ordered_json list = ordered_json::array();
  for (const infer::LikelyToken& token : tokens) list.push_back(token_json(token, name));
  return list;
}

ordered_json levels_json(const infer::Levels& levels, const TokenName& name) {
  ordered_json classes = ordered_json::array();
  for (const infer::LikelyClass& entry : levels.classes)
    classes.push_back({{"class", entry.index},
                       {"kind", entry.single ? "token" : "group"},
                       {"size", entry.size},
                       {"logprob", finite(entry.log_p)},
                       {"tokens", tokens_json(entry.tokens, name)}});
  return {{"shortlist", levels.shortlist},
          {"groups", levels.groups},
          {"class", levels.index},
          {"token_logprob", finite(levels.token_log_p)},
          {"classes", std::move(classes)}};
}

}  // namespace

InspectRequest parse_inspect_request(std::string_view body) {
  const json request = parse_json(body, "the request");
  if (!request.is_object())
    fail(ErrorCode::kInvalidArgument, "the request is {}, expected an object", json_excerpt(request));
  InspectRequest result;
  if (const json& model = at(request, "model"); model.is_string())
    result.model = model.get<std::string>();
  else if (!model.is_null())
    fail(ErrorCode::kInvalidArgument, "\"model\" is {}, expected a name", json_excerpt(model));
  if (const json& prompt = at(request, "prompt"); prompt.is_array())
    result.prompt = read_ids(prompt, "prompt");
  else if (prompt.is_string())
    result.prompt = prompt.get<std::string>();
  else if (!prompt.is_null())
    fail(ErrorCode::kInvalidArgument, "\"prompt\" is {}, expected a text or a list of ids", json_excerpt(prompt));
  if (const json& tokens = at(request, "tokens"); !tokens.is_null()) result.tokens = read_ids(tokens, "tokens");
  result.token = read_id(at(request, "token"), "token");
  return result;
}

std::string inspection_json(const infer::Inspection& inspection, std::string_view model, std::int64_t vocabulary,
                            const TokenName& name) {
  ordered_json token = token_json(inspection.token, name);
  token["rank"] = inspection.rank;
  const ordered_json answer{{"object", "inspection"},
                            {"model", model},
                            {"vocabulary", vocabulary},
                            {"token", std::move(token)},
                            {"joint", tokens_json(inspection.joint, name)},
                            {"levels", inspection.levels ? levels_json(*inspection.levels, name) : ordered_json()}};
  return dump_json(answer);
}

}  // namespace fabula::serve
