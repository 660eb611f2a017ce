#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace fabula::text {

/// The documents of a text, which <|endoftext|> separates: views without the newlines around them; empty ones are left
/// out.
std::vector<std::string_view> split_documents(std::string_view text);

/// A document as it stands in a text of several: with "\n<|endoftext|>\n" behind it.
std::string ended_document(std::string_view document);

}  // namespace fabula::text
