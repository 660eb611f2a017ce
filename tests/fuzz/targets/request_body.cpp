#include "serve/request.hpp"

#include <algorithm>

#include "fuzz/targets.hpp"
#include "serve/errors.hpp"

namespace fabula::fuzz {
namespace {

/// What readers of requests promise to whoever acts on them.
void check_options(const serve::TextOptions& options) {
  require(options.n >= 1 && options.n <= 32, "n is out of range");
  require(options.sampler.temperature >= 0 && options.sampler.top_p > 0 && options.sampler.top_p <= 1,
          "a sampler's number is out of range");
  require(options.max_tokens.value_or(0) >= 0 && options.logprobs.value_or(0) <= 20, "a count is out of range");
  require(std::none_of(options.stops.begin(), options.stops.end(), [](const auto& stop) { return stop.empty(); }),
          "a stop text is empty");
}

template <class Read>
bool reads(Read read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    const int status = serve::error_status(error);
    require(status == 400, "a body is refused with another status than 400");
    require(serve::error_json(error).starts_with("{\"error\":{\"message\":"), "an error is no error object");
    return false;
  }
}

}  // namespace

bool request_body(std::string_view bytes) {
  const bool completion = reads([&] {
    const serve::CompletionRequest request = serve::parse_completion(bytes);
    require(!request.prompts.empty(), "a completion has no prompt");
    check_options(request.options);
  });
  const bool chat = reads([&] {
    const serve::ChatRequest request = serve::parse_chat(bytes);
    require(!request.messages.empty(), "a chat has no message");
    check_options(request.options);
  });
  const bool tokens = reads([&] { serve::parse_tokenize(bytes); });
  const bool text = reads([&] { serve::parse_detokenize(bytes); });
  const bool look = reads([&] { serve::parse_inspect(bytes); });
  return completion || chat || tokens || text || look;
}

}  // namespace fabula::fuzz
