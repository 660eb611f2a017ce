#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace fabula::text {

/// The documents of a text, which <|endoftext|> separates and, where it is another, the text of a tokenizer's end
/// token: views without the line ends around them; empty ones are left out.
std::vector<std::string_view> split_documents(std::string_view text, std::string_view end_token = {});

/// A document without the line ends around it, of whatever system.
std::string_view trimmed_document(std::string_view document);
/// Is there nothing but white space in it?
bool is_blank(std::string_view document);

/// A document as it stands in a text of several: with "\n<|endoftext|>\n" behind it.
std::string ended_document(std::string_view document);

}  // namespace fabula::text
