#include "fuzz/tokenizer_check.hpp"

#include <optional>

#include "fuzz/targets.hpp"

namespace fabula::fuzz {

bool check_tokenizer(const std::function<text::Tokenizer()>& read, std::string_view sample) {
  std::optional<text::Tokenizer> tokenizer, again;
  if (!takes([&] { tokenizer.emplace(read()); })) return false;
  const std::string json = text::tokenizer_json(*tokenizer);
  require(takes([&] { again.emplace(text::parse_tokenizer_json(json, "again")); }),
          "a tokenizer that was written is refused: " + json);
  require(again->fingerprint() == tokenizer->fingerprint() && text::tokenizer_json(*again) == json,
          "a tokenizer changes when it is written: " + json);
  constexpr std::size_t kMostBytes = 300;
  const std::string_view text = sample.substr(0, kMostBytes);
  for (const bool added_tokens : {false, true})
    takes([&] {
      const std::vector<std::uint32_t> ids = tokenizer->encode(text, {.added_tokens = added_tokens});
      require(tokenizer->decode(ids) == text, "a text is not what its tokens decode to: " + json);
      require(again->encode(text, {.added_tokens = added_tokens}) == ids,
              "a written tokenizer encodes otherwise: " + json);
    });
  return true;
}

}  // namespace fabula::fuzz
