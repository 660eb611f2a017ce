#pragma once
#include <string_view>
#include <vector>

namespace fabula::text {

/// The documents of a text, which <|endoftext|> separates: views without the newlines around them; empty ones are left
/// out.
std::vector<std::string_view> split_documents(std::string_view text);

}  // namespace fabula::text
