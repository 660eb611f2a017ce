#include "serve/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "formats/json_access.hpp"
#include "serve/answer.hpp"
#include "serve/fields.hpp"

namespace fabula::serve {
namespace {

using nlohmann::ordered_json;

constexpr double kImpossible = -9999;

double told_log_p(double log_p) {
  return std::max(log_p, kImpossible);
}

ordered_json token_json(const infer::LikelyToken& token, const TokenName& name) {
  return {{"id", token.id}, {"text", name(token.id)}, {"logprob", told_log_p(token.log_p)}};
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
                       {"logprob", told_log_p(entry.log_p)},
                       {"tokens", tokens_json(entry.tokens, name)}});
  return {{"shortlist", levels.shortlist},
          {"groups", levels.groups},
          {"class", levels.index},
          {"token_logprob", told_log_p(levels.token_log_p)},
          {"classes", std::move(classes)}};
}

}  // namespace

std::string answer_inspect(Service& service, std::string_view body, const HttpPeer& peer) {
  const InspectRequest request = parse_inspect(body);
  const std::size_t number = service.find(request.model);
  const ServedModel& model = service.models()[number];
  const heads::Head& head = model.folder->model().head();
  std::vector<std::uint32_t> ids = service.prompt_ids(number, request.prompt).ids;
  ids.insert(ids.end(), request.tokens.begin(), request.tokens.end());
  for (const std::uint32_t id : ids)
    if (id >= head.vocabulary())
      refuse_field("tokens", fmt::format("have id {}, the model has {} tokens", id, head.vocabulary()));
  if (request.token >= head.vocabulary())
    refuse_field("token", fmt::format("is {}, the model has {} tokens", request.token, head.vocabulary()));
  const std::vector<float> log_probs = service.distribution(number, std::move(ids), peer);
  const text::Tokenizer& tokenizer = model.folder->tokenizer();
  return inspection_json(infer::inspect(log_probs, head.token_map(), request.token, kInspectedEntries), model.name,
                         head.vocabulary(), [&](std::uint32_t id) { return token_name(tokenizer, id); });
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
