#include "fuzz/targets.hpp"
#include "fuzz/tokenizer_check.hpp"

namespace fabula::fuzz {

/// The first byte says which vocabulary, the rest are its ranks.
bool tiktoken_ranks(std::string_view bytes) {
  if (bytes.empty()) return false;
  constexpr const char* kVocabularies[] = {"gpt2", "cl100k_base", "o200k_base"};
  const char* vocabulary = kVocabularies[static_cast<unsigned char>(bytes.front()) % 3];
  return check_tokenizer([&] { return text::parse_tiktoken(bytes.substr(1), "ranks.tiktoken", vocabulary); }, bytes);
}

}  // namespace fabula::fuzz
