#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "infer/sampler.hpp"

// What clients ask for: the bodies of requests, read under bounds. No model is known here.
namespace fabula::serve {

using Prompt = std::variant<std::string, std::vector<std::uint32_t>>;  ///< text, or token ids as the model reads them

/// What completions and chats share. Absent numbers are for the server to choose.
struct TextOptions {
  std::string model;
  std::optional<std::int64_t> max_tokens;
  infer::SamplerOptions sampler;  ///< its seed counts where one was given; biases as the request has them
  bool seed_given = false;
  std::vector<std::string> stops;
  std::int64_t n = 1;
  bool stream = false, include_usage = false;
  bool timings = false, return_tokens = false;
  std::optional<std::int64_t> logprobs;  ///< how many of the likeliest are told beside each token
};

struct CompletionRequest {
  TextOptions options;
  std::vector<Prompt> prompts;
  bool echo = false;
};

struct ChatMessage {
  std::string role, content;
};
struct ChatRequest {
  TextOptions options;
  std::vector<ChatMessage> messages;
};

struct TokenizeRequest {
  std::string model, content;
  bool with_pieces = false;
};
struct DetokenizeRequest {
  std::string model;
  std::vector<std::uint32_t> tokens;
};

/// Which token of which text.
struct InspectRequest {
  std::string model;
  Prompt prompt;                      ///< as /v1/completions takes it
  std::vector<std::uint32_t> tokens;  ///< what was told behind the prompt, before the token
  std::uint32_t token = 0;            ///< the one that is looked at
};
/// Each reads the JSON of a body. Unknown fields are passed over, null is "not given". Throws RequestError with status
/// 400 naming the field, and kFormat for what is not JSON, not UTF-8, or nested too deep.
CompletionRequest parse_completion(std::string_view body);
ChatRequest parse_chat(std::string_view body);
TokenizeRequest parse_tokenize(std::string_view body);
DetokenizeRequest parse_detokenize(std::string_view body);
InspectRequest parse_inspect(std::string_view body);

}  // namespace fabula::serve
