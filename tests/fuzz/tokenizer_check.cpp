#include "fuzz/tokenizer_check.hpp"

#include <algorithm>
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
  const text::TokenizerParts& parts = tokenizer->parts();
  const auto is_made = [&](const text::AddedToken& token) {
    const auto makes = [&](const text::Merge& merge) { return merge.result == token.id; };
    return std::any_of(parts.merges.begin(), parts.merges.end(), makes);
  };
  const bool any_made = std::any_of(parts.added.begin(), parts.added.end(), is_made);
  const bool keeps_text = parts.fallback
                              ? !any_made && !parts.fallback->blocks_are_spaces &&
                                    parts.fallback->drops_prefix == (parts.prefix != text::PrefixSpace::kNever)
                              : parts.prefix == text::PrefixSpace::kNever;
  for (const bool added_tokens : {false, true})
    takes([&] {
      const std::vector<std::uint32_t> ids = tokenizer->encode(text, {.added_tokens = added_tokens});
      require(!keeps_text || tokenizer->decode(ids) == text, "a text is not what its tokens decode to: " + json);
      require(again->encode(text, {.added_tokens = added_tokens}) == ids,
              "a written tokenizer encodes otherwise: " + json);
    });
  return true;
}

}  // namespace fabula::fuzz
