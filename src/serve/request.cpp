#include "serve/request.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "formats/json_access.hpp"
#include "serve/errors.hpp"
#include "serve/fields.hpp"

namespace fabula::serve {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostTop = 20;
constexpr std::int64_t kMostChoices = 32;
constexpr std::size_t kMostStopTexts = 16;
constexpr std::size_t kMostBiases = 1024;
constexpr std::size_t kMostStopBytes = 1024;
constexpr double kMostPenalty = 2;
constexpr double kMostBias = 100;  // and -100 rules a token out, as OpenAI has it
constexpr std::int64_t kMostTokens = 1 << 24;

json body_json(std::string_view body) {
  return parse_json(body, "the body", {.max_bytes = 64u << 20, .max_depth = 16});
}

/// Fields that are taken as long as they ask for nothing.
void refuse_unsupported(const Fields& fields, const char* name) {
  const json* value = fields.find(name);
  if (value == nullptr) return;
  const bool empty = (value->is_string() && (value->get_ref<const std::string&>().empty() || *value == "none")) ||
                     ((value->is_array() || value->is_object()) && value->empty());
  if (empty || *value == json{{"type", "text"}}) return;
  throw RequestError(400, fmt::format("\"{}\" is not supported; leave it out", name), name, "unsupported_parameter");
}

std::vector<std::pair<std::uint32_t, double>> read_biases(const Fields& fields) {
  const json* value = fields.find("logit_bias");
  if (value == nullptr) return {};
  if (!value->is_object() || value->size() > kMostBiases)
    refuse_field("logit_bias", fmt::format("is an object of at most {} token ids and biases", kMostBiases));
  std::vector<std::pair<std::uint32_t, double>> biases;
  for (const auto& [key, bias] : value->items()) {
    std::uint32_t id = 0;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
    const bool good = !key.empty() && parsed.ec == std::errc() && parsed.ptr == key.data() + key.size();
    if (!good || !bias.is_number() || !(bias.get<double>() >= -kMostBias && bias.get<double>() <= kMostBias))
      refuse_field("logit_bias", fmt::format("has {}: {}; a token id and a number from -100 to 100 are expected",
                                             json_excerpt(json(key)), json_excerpt(bias)));
    biases.emplace_back(id, bias.get<double>());
  }
  return biases;
}

std::vector<std::string> read_stops(const Fields& fields) {
  const json* value = fields.find("stop");
  if (value == nullptr) return {};
  const auto expected = fmt::format("is a string or a list of at most {} strings, none of them empty", kMostStopTexts);
  std::vector<std::string> stops;
  const json list = value->is_array() ? *value : json::array({*value});
  if (list.size() > kMostStopTexts) refuse_field("stop", expected);
  for (const json& stop : list) {
    if (!stop.is_string() || stop.get_ref<const std::string&>().empty()) refuse_field("stop", expected);
    if (stop.get_ref<const std::string&>().size() > kMostStopBytes)
      refuse_field("stop", fmt::format("has a text of more than {} bytes", kMostStopBytes));
    stops.push_back(stop.get<std::string>());
  }
  return stops;
}

TextOptions read_options(const Fields& fields) {
  TextOptions options;
  options.model = fields.text("model").value_or("");
  options.max_tokens = fields.whole("max_tokens", 0, kMostTokens);
  infer::SamplerOptions& sampler = options.sampler;
  sampler.temperature = fields.number("temperature", 0, 100).value_or(1);
  sampler.top_p = fields.number("top_p", 0, 1).value_or(1);
  if (sampler.top_p == 0) refuse_field("top_p", "is 0; a number above 0, up to 1, is expected");
  sampler.min_p = fields.number("min_p", 0, 1).value_or(0);
  sampler.top_k = static_cast<std::uint32_t>(fields.whole("top_k", 0, INT32_MAX).value_or(0));
  sampler.repetition_penalty = fields.number("repeat_penalty", 0, 100).value_or(1);
  if (sampler.repetition_penalty == 0) refuse_field("repeat_penalty", "is 0; a number above 0 is expected");
  sampler.presence_penalty = fields.number("presence_penalty", -kMostPenalty, kMostPenalty).value_or(0);
  sampler.frequency_penalty = fields.number("frequency_penalty", -kMostPenalty, kMostPenalty).value_or(0);
  sampler.logit_bias = read_biases(fields);
  const auto seed = fields.whole("seed", INT64_MIN, INT64_MAX);
  options.seed_given = seed.has_value();
  sampler.seed = static_cast<std::uint64_t>(seed.value_or(0));
  options.stops = read_stops(fields);
  options.n = fields.whole("n", 1, kMostChoices).value_or(1);
  options.stream = fields.flag("stream");
  if (const json* stream_options = fields.find("stream_options"); stream_options != nullptr && options.stream) {
    if (!stream_options->is_object()) refuse_field("stream_options", "is an object");
    options.include_usage = Fields(*stream_options).flag("include_usage");
  }
  options.timings = fields.flag("timings");
  options.return_tokens = fields.flag("return_tokens");
  for (const char* name : {"suffix", "tools", "tool_choice", "response_format", "functions", "function_call"})
    refuse_unsupported(fields, name);
  return options;
}

std::vector<Prompt> read_prompts(const Fields& fields) {
  const json* value = fields.find("prompt");
  const auto refuse = [] {
    refuse_field("prompt", "is a string, a list of strings, a list of token ids, or a list of such lists");
  };
  if (value == nullptr) return {Prompt(std::string())};
  if (value->is_string()) return {Prompt(value->get<std::string>())};
  if (!value->is_array()) refuse();
  if (value->empty()) refuse_field("prompt", "is an empty list; give a prompt");
  if (auto ids = token_ids(*value)) return {Prompt(std::move(*ids))};
  std::vector<Prompt> prompts;
  for (const json& entry : *value) {
    auto ids = token_ids(entry);
    if (ids)
      prompts.emplace_back(std::move(*ids));
    else if (entry.is_string())
      prompts.emplace_back(entry.get<std::string>());
    else
      refuse();
    if (prompts.back().index() != prompts.front().index()) refuse();
  }
  return prompts;
}

Prompt read_one_prompt(const Fields& fields) {
  const json* prompt = fields.find("prompt");
  if (prompt != nullptr && prompt->is_array()) return *fields.ids("prompt");
  return fields.text("prompt").value_or("");
}

std::string read_content(const json& message) {
  const auto it = message.find("content");
  if (it == message.end() || it->is_null()) return {};
  if (it->is_string()) return it->get<std::string>();
  std::string content;
  if (!it->is_array()) refuse_field("messages", "have a content that is a string or a list of text parts");
  for (const json& part : *it) {
    const bool is_text = part.is_object() && part.contains("type") && part["type"] == "text" && part.contains("text") &&
                         part["text"].is_string();
    if (!is_text) refuse_field("messages", "have a content that is a string or a list of text parts; no other parts");
    content += part["text"].get<std::string>();
  }
  return content;
}

}  // namespace

CompletionRequest parse_completion(std::string_view body) {
  const json object = body_json(body);
  const Fields fields(object);
  CompletionRequest request{.options = read_options(fields), .prompts = read_prompts(fields), .echo = false};
  request.echo = fields.flag("echo");
  const auto best_of = fields.whole("best_of", 1, kMostChoices);
  if (best_of && *best_of != request.options.n)
    refuse_field("best_of", "is supported where it is n alone; leave it out");
  request.options.logprobs = fields.whole("logprobs", 0, kMostTop);
  return request;
}

ChatRequest parse_chat(std::string_view body) {
  const json object = body_json(body);
  const Fields fields(object);
  ChatRequest request{.options = read_options(fields), .messages = {}};
  if (const auto most = fields.whole("max_completion_tokens", 0, kMostTokens)) request.options.max_tokens = most;
  const auto top = fields.whole("top_logprobs", 0, kMostTop);
  if (fields.flag("logprobs"))
    request.options.logprobs = top.value_or(0);
  else if (top && *top > 0)
    refuse_field("top_logprobs", "needs \"logprobs\": true");
  const json* messages = fields.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty())
    refuse_field("messages", "is a list of at least one message with a role and a content");
  for (const json& message : *messages) {
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string())
      refuse_field("messages", "are objects with a role and a content");
    request.messages.push_back({message["role"].get<std::string>(), read_content(message)});
  }
  return request;
}

TokenizeRequest parse_tokenize(std::string_view body) {
  const json object = body_json(body);
  const Fields fields(object);
  const auto content = fields.text("content");
  if (!content) refuse_field("content", "is missing; give the text to tokenize");
  return {fields.text("model").value_or(""), *content, fields.flag("with_pieces")};
}

DetokenizeRequest parse_detokenize(std::string_view body) {
  const json object = body_json(body);
  const Fields fields(object);
  auto tokens = fields.ids("tokens");
  if (!tokens) refuse_field("tokens", "is missing; give a list of token ids");
  return {fields.text("model").value_or(""), std::move(*tokens)};
}

InspectRequest parse_inspect(std::string_view body) {
  const json object = body_json(body);
  const Fields fields(object);
  const std::optional<std::int64_t> token = fields.whole("token", 0, std::numeric_limits<std::uint32_t>::max());
  if (!token) refuse_field("token", "is missing; give the id of the token to look at");
  return {.model = fields.text("model").value_or(""),
          .prompt = read_one_prompt(fields),
          .tokens = fields.ids("tokens").value_or(std::vector<std::uint32_t>()),
          .token = static_cast<std::uint32_t>(*token)};
}

}  // namespace fabula::serve
