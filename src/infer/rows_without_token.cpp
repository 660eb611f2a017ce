#include "infer/rows_without_token.hpp"

namespace fabula::infer {

std::vector<std::uint32_t> rows_without_token(const text::Tokenizer& tokenizer, std::int64_t vocabulary) {
  std::vector<std::uint32_t> rows;
  for (std::uint32_t id = 0; id < vocabulary; ++id)
    if (id >= tokenizer.vocab_size() || tokenizer.token_bytes(id).empty()) rows.push_back(id);
  return rows;
}

}  // namespace fabula::infer
