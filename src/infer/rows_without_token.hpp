#pragma once
#include <cstdint>
#include <vector>

#include "text/tokenizer.hpp"

namespace fabula::infer {

/// The rows of a model with `vocabulary` of them that no token of its tokenizer has, rising: padding behind the last id
/// (50,304 rows for 50,257 tokens), and ids that have no bytes. They have a part in every distribution, as they have
/// elsewhere, and are never drawn.
std::vector<std::uint32_t> rows_without_token(const text::Tokenizer& tokenizer, std::int64_t vocabulary);

}  // namespace fabula::infer
