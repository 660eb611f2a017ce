#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/atomic_file.hpp"
#include "base/philox.hpp"
#include "formats/token_map.hpp"
#include "temp_dir.hpp"
#include "text/token_file.hpp"
#include "text/train_bpe.hpp"

namespace fabula::test {

/// A token file of a text whose tokens are its bytes: 256 of them, and the one that ends a document.
inline text::TokenFile byte_tokens(const TempDir& folder, const std::string& text) {
  const std::string_view documents[] = {text};
  const text::Tokenizer tokenizer = text::train_bpe(documents, {.vocab_size = 257});
  write_file_atomically(folder / "text.txt", text);
  const std::filesystem::path texts[] = {folder / "text.txt"};
  text::prepare_token_file(texts, tokenizer, folder / "text.tokens", 1);
  return text::TokenFile(folder / "text.tokens");
}

/// A letter of the first class, then one of the second, and so on; letters of a class are drawn evenly.
inline std::string alternating_text(const std::vector<std::string>& classes, std::size_t letters) {
  Philox random(17);
  std::string text;
  for (std::size_t i = 0; i < letters; ++i) {
    const std::string& letters_of_class = classes[i % classes.size()];
    text += letters_of_class[random.below(static_cast<std::uint32_t>(letters_of_class.size()))];
  }
  return text;
}

/// The group of a token; the number of groups for one of the shortlist.
inline std::size_t group_of(const TokenMap& map, std::uint32_t token) {
  return static_cast<std::size_t>(
      std::find_if(map.groups.begin(), map.groups.end(),
                   [&](const auto& group) { return std::find(group.begin(), group.end(), token) != group.end(); }) -
      map.groups.begin());
}

/// The id of a letter there: GPT-2's order of the bytes starts with the printable ones.
inline std::uint32_t token_of(char letter) {
  return static_cast<std::uint32_t>(letter - '!');
}

/// The groups that these letters are in.
inline std::set<std::size_t> groups_of(const TokenMap& map, const std::string& letters) {
  std::set<std::size_t> groups;
  for (const char letter : letters) groups.insert(group_of(map, token_of(letter)));
  return groups;
}

inline std::size_t largest_group(const TokenMap& map) {
  std::size_t largest = 0;
  for (const auto& group : map.groups) largest = std::max(largest, group.size());
  return largest;
}

}  // namespace fabula::test
