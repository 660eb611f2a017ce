#include "serve/model_api.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "formats/json_access.hpp"
#include "models/language_model.hpp"
#include "serve/answer.hpp"
#include "serve/errors.hpp"

namespace fabula::serve {
namespace {

using ModelJson = nlohmann::ordered_json;

ModelJson model_json(const ServedModel& model) {
  const models::LanguageModel& lm = model.folder->model();
  return {{"id", model.name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "fabula"},
          {"max_model_len", model.session->context()},
          {"meta",
           {{"vocab_size", lm.head().vocabulary()},
            {"n_params", lm.parameter_count()},
            {"slots", model.session->slots()},
            {"description", models::describe(lm)}}}};
}

}  // namespace

HttpAnswer list_models(const Call& call) {
  ModelJson list = ModelJson::array();
  for (const ServedModel& model : call.service().models()) list.push_back(model_json(model));
  return {.body = dump_json(ModelJson{{"object", "list"}, {"data", std::move(list)}})};
}

HttpAnswer one_model(const Call& call) {
  const std::string& path = call.request.path;
  const std::string name = path.substr(path.find("models/") + 7);
  for (const ServedModel& model : call.service().models())
    if (model.name == name) return {.body = dump_json(model_json(model))};
  throw RequestError(404, fmt::format("there is no model \"{}\"; /v1/models lists those there are", name), "model",
                     "model_not_found");
}

HttpAnswer tokenize(const Call& call) {
  const TokenizeRequest asked = parse_tokenize(call.request.body);
  const ServedModel& model = call.service().models()[call.service().find(asked.model)];
  ModelJson tokens = ModelJson::array();
  for (const std::uint32_t id : model.folder->tokenizer().encode(asked.content, {.added_tokens = true})) {
    if (asked.with_pieces)
      tokens.push_back({{"id", id}, {"piece", token_name(model.folder->tokenizer(), id)}});
    else
      tokens.push_back(id);
  }
  return {.body = dump_json(ModelJson{{"tokens", std::move(tokens)}})};
}

HttpAnswer detokenize(const Call& call) {
  const DetokenizeRequest asked = parse_detokenize(call.request.body);
  const ServedModel& model = call.service().models()[call.service().find(asked.model)];
  for (const std::uint32_t id : asked.tokens)
    if (id >= model.folder->tokenizer().vocab_size())
      throw RequestError(
          400, fmt::format("\"tokens\" has id {}, the tokenizer has {}", id, model.folder->tokenizer().vocab_size()),
          "tokens");
  return {.body = dump_json(ModelJson{{"content", valid_text(model.folder->tokenizer().decode(asked.tokens))}})};
}

}  // namespace fabula::serve
