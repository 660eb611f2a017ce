#pragma once
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace fabula {

/// What a hostile JSON text may cost at most.
struct JsonLimits {
  std::size_t max_bytes = 256u << 20;
  int max_depth = 32;
};

/// Parses JSON that someone else wrote. Error kFormat naming `source` for a text that is too large, too deep, not JSON,
/// not UTF-8, a Git LFS pointer in its place, or has a key twice in one object (where readers disagree on which one
/// counts).
nlohmann::json parse_json(std::string_view text, std::string_view source, const JsonLimits& limits = {});

/// The parser's own "[json.exception.parse_error.101] parse error at line 1, ..." without the bracket, which means
/// nothing to a user.
std::string json_message(std::string_view what);

}  // namespace fabula
