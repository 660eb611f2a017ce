#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/engine.hpp"
#include "serve/choice.hpp"
#include "text/tokenizer.hpp"

// What clients are sent: JSON texts and server-sent events, as OpenAI's completions and chats have them.
namespace fabula::serve {

enum class AnswerKind { kCompletion, kChat };

/// What all parts of an answer have in common.
struct AnswerHead {
  AnswerKind kind = AnswerKind::kCompletion;
  std::string id, model;
  std::int64_t created = 0;                    ///< seconds since 1970
  const text::Tokenizer* tokenizer = nullptr;  ///< names tokens
  bool logprobs = false, return_tokens = false, usage = false;
};

struct Usage {
  std::int64_t prompt = 0, completion = 0;  ///< tokens
};

/// {"object": "text_completion" or "chat.completion", ...}. `choices` by index, with all of their text.
std::string answer_json(const AnswerHead& head, const std::vector<ChoicePiece>& choices, const Usage& usage,
                        const std::optional<infer::JobTimes>& times);

/// Events of a stream, each "data: ...", an empty line behind it.
std::string role_event(const AnswerHead& head, std::size_t index);  ///< what a chat's choice begins with
std::string piece_event(const AnswerHead& head, std::size_t index, const ChoicePiece& piece);
std::string usage_event(const AnswerHead& head, const Usage& usage, const std::optional<infer::JobTimes>& times);
std::string error_event(std::string_view error_json);
inline constexpr std::string_view kDoneEvent = "data: [DONE]\n\n";
inline constexpr std::string_view kKeepAlive = ": keep-alive\n\n";

/// What a token is called: its text, "bytes:\xNN..." where that is no UTF-8, "token:ID" where it has none.
std::string token_name(const text::Tokenizer& tokenizer, std::uint32_t id);

}  // namespace fabula::serve
