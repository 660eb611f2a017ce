#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/inspection.hpp"
#include "serve/request.hpp"
#include "serve/service.hpp"

// POST /inspect: what a token was drawn from, level by level, for the page (docs/serve.md).
namespace fabula::serve {

/// Entries of each list of an answer.
inline constexpr std::size_t kInspectedEntries = 10;

/// The answer to a request's body. Throws RequestError.
std::string answer_inspect(Service& service, std::string_view body, const HttpPeer& peer);

/// What a token is called in an answer.
using TokenName = std::function<std::string(std::uint32_t id)>;
/// The answer: {"object": "inspection", "model", "vocabulary", "token", "joint", "levels"}; the levels are null for
/// heads of one level. Logarithms are natural and finite: -9999 stands for what is impossible.
std::string inspection_json(const infer::Inspection& inspection, std::string_view model, std::int64_t vocabulary,
                            const TokenName& name);

}  // namespace fabula::serve
