#include "fuzz/targets.hpp"
#include "fuzz/tokenizer_check.hpp"

namespace fabula::fuzz {

bool tokenizer_json(std::string_view bytes) {
  return check_tokenizer([&] { return text::parse_tokenizer_json(bytes, "tokenizer.json"); }, bytes);
}

}  // namespace fabula::fuzz
