#pragma once
#include <functional>
#include <string_view>

#include "text/tokenizer_files.hpp"

namespace fabula::fuzz {

/// Reads a tokenizer, writes it, reads that; encodes and decodes `sample` with it. False where it is refused.
bool check_tokenizer(const std::function<text::Tokenizer()>& read, std::string_view sample);

}  // namespace fabula::fuzz
