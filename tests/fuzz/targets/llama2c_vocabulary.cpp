#include "fuzz/targets.hpp"
#include "fuzz/tokenizer_check.hpp"

namespace fabula::fuzz {

bool llama2c_vocabulary(std::string_view bytes) {
  return check_tokenizer([&] { return text::parse_llama2c(bytes, "tokenizer.bin"); }, bytes);
}

}  // namespace fabula::fuzz
