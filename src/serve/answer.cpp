#include "serve/answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "formats/json_access.hpp"
#include "text/utf8.hpp"

namespace fabula::serve {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kLeastLogprob = -9999;
constexpr const char* kFingerprint = "fabula";

double finite(float log_prob) {
  return std::isfinite(log_prob) ? std::max<double>(log_prob, kLeastLogprob) : kLeastLogprob;
}

std::vector<std::pair<std::uint32_t, float>> with_chosen(const ToldToken& token) {
  auto top = token.top;
  if (std::none_of(top.begin(), top.end(), [&](const auto& entry) { return entry.first == token.id; }))
    top.emplace_back(token.id, token.log_prob.value_or(0));
  return top;
}

Json completion_logprobs(const AnswerHead& head, const std::vector<ToldToken>& told) {
  Json tokens = Json::array(), log_probs = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const ToldToken& token : told) {
    tokens.push_back(token_name(*head.tokenizer, token.id));
    offsets.push_back(token.offset);
    if (!token.log_prob) {
      log_probs.push_back(nullptr), tops.push_back(nullptr);
      continue;
    }
    log_probs.push_back(finite(*token.log_prob));
    Json top = Json::object();
    for (const auto& [id, log_prob] : with_chosen(token)) {
      std::string name = token_name(*head.tokenizer, id);
      if (top.contains(name)) name = fmt::format("token:{}", id);
      top[name] = finite(log_prob);
    }
    tops.push_back(std::move(top));
  }
  return {{"tokens", tokens}, {"token_logprobs", log_probs}, {"top_logprobs", tops}, {"text_offset", offsets}};
}

Json chat_token(const AnswerHead& head, std::uint32_t id, float log_prob) {
  Json bytes = Json::array();
  if (id < head.tokenizer->vocab_size())
    for (const char c : head.tokenizer->token_bytes(id)) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", token_name(*head.tokenizer, id)}, {"logprob", finite(log_prob)}, {"bytes", bytes}};
}

Json chat_logprobs(const AnswerHead& head, const std::vector<ToldToken>& told) {
  Json content = Json::array();
  for (const ToldToken& token : told) {
    Json entry = chat_token(head, token.id, token.log_prob.value_or(0));
    Json top = Json::array();
    for (const auto& [id, log_prob] : token.top) top.push_back(chat_token(head, id, log_prob));
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}};
}

Json logprobs(const AnswerHead& head, const std::vector<ToldToken>& told) {
  if (!head.logprobs) return nullptr;
  return head.kind == AnswerKind::kChat ? chat_logprobs(head, told) : completion_logprobs(head, told);
}

Json finish_reason(const ChoicePiece& piece) {
  if (!piece.finish) return nullptr;
  return *piece.finish == infer::Finish::kStop ? "stop" : "length";
}

Json usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt},
          {"completion_tokens", usage.completion},
          {"total_tokens", usage.prompt + usage.completion}};
}

Json times_json(const infer::JobTimes& times, const Usage& usage) {
  const auto rate = [](std::int64_t tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
  };
  const double writing = times.all - times.first_token;
  return {{"queue_ms", 1e3 * times.waited},
          {"prompt_n", usage.prompt},
          {"prompt_ms", 1e3 * times.first_token},
          {"prompt_per_second", rate(usage.prompt, times.first_token)},
          {"predicted_n", times.written},
          {"predicted_ms", 1e3 * writing},
          {"predicted_per_second", rate(times.written, writing)}};
}

Json head_json(const AnswerHead& head, bool chunk) {
  const char* object = head.kind == AnswerKind::kCompletion ? "text_completion"
                       : chunk                              ? "chat.completion.chunk"
                                                            : "chat.completion";
  return {{"id", head.id},
          {"object", object},
          {"created", head.created},
          {"model", head.model},
          {"system_fingerprint", kFingerprint}};
}

void add_tokens(const AnswerHead& head, const ChoicePiece& piece, Json& choice) {
  if (!head.return_tokens) return;
  Json ids = Json::array();
  for (const ToldToken& token : piece.tokens) ids.push_back(token.id);
  choice["tokens"] = std::move(ids);
}

std::string event(const Json& json) {
  return "data: " + dump_json(json) + "\n\n";
}

std::string chunk_event(const AnswerHead& head, Json choice) {
  Json chunk = head_json(head, true);
  chunk["choices"] = Json::array({std::move(choice)});
  if (head.usage) chunk["usage"] = nullptr;
  return event(chunk);
}

}  // namespace

std::string token_name(const text::Tokenizer& tokenizer, std::uint32_t id) {
  if (id >= tokenizer.vocab_size() || tokenizer.token_bytes(id).empty()) return fmt::format("token:{}", id);
  const std::string& bytes = tokenizer.token_bytes(id);
  if (text::valid_utf8_length(bytes) == bytes.size()) return bytes;
  std::string name = "bytes:";
  for (const char c : bytes) name += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return name;
}

std::string answer_json(const AnswerHead& head, const std::vector<ChoicePiece>& choices, const Usage& usage,
                        const std::optional<infer::JobTimes>& times) {
  Json answer = head_json(head, false);
  Json list = Json::array();
  for (std::size_t index = 0; index < choices.size(); ++index) {
    const ChoicePiece& piece = choices[index];
    Json choice{{"index", index}};
    if (head.kind == AnswerKind::kChat)
      choice["message"] = {{"role", "assistant"}, {"content", piece.text}};
    else
      choice["text"] = piece.text;
    choice["logprobs"] = logprobs(head, piece.tokens);
    choice["finish_reason"] = finish_reason(piece);
    add_tokens(head, piece, choice);
    list.push_back(std::move(choice));
  }
  answer["choices"] = std::move(list);
  answer["usage"] = usage_json(usage);
  if (times) answer["timings"] = times_json(*times, usage);
  return dump_json(answer);
}

std::string role_event(const AnswerHead& head, std::size_t index) {
  return chunk_event(head, {{"index", index},
                            {"delta", {{"role", "assistant"}, {"content", ""}}},
                            {"logprobs", nullptr},
                            {"finish_reason", nullptr}});
}

std::string piece_event(const AnswerHead& head, std::size_t index, const ChoicePiece& piece) {
  Json choice{{"index", index}};
  if (head.kind == AnswerKind::kChat)
    choice["delta"] = piece.text.empty() ? Json::object() : Json{{"content", piece.text}};
  else
    choice["text"] = piece.text;
  choice["logprobs"] = piece.tokens.empty() ? Json(nullptr) : logprobs(head, piece.tokens);
  choice["finish_reason"] = finish_reason(piece);
  add_tokens(head, piece, choice);
  return chunk_event(head, std::move(choice));
}

std::string usage_event(const AnswerHead& head, const Usage& usage, const std::optional<infer::JobTimes>& times) {
  Json chunk = head_json(head, true);
  chunk["choices"] = Json::array();
  chunk["usage"] = usage_json(usage);
  if (times) chunk["timings"] = times_json(*times, usage);
  return event(chunk);
}

std::string error_event(std::string_view error_json) {
  return "data: " + std::string(error_json) + "\n\n";
}

}  // namespace fabula::serve
