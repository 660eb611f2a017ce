#pragma once
#include "serve/http.hpp"
#include "serve/service.hpp"

namespace fabula::serve {

/// POST /v1/completions and /v1/chat/completions: whole, or as a stream of events. Throws RequestError and Error for
/// what errors.hpp makes answers of.
HttpAnswer answer_completion(Service& service, const HttpRequest& request, const HttpPeer& peer);
HttpAnswer answer_chat(Service& service, const HttpRequest& request, const HttpPeer& peer);

/// What a chat reads as for a model without a format of its own: the messages' texts, a line each.
std::string joined_messages(const std::vector<ChatMessage>& messages);

}  // namespace fabula::serve
