#include "formats/token_map.hpp"

#include "fuzz/targets.hpp"

namespace fabula::fuzz {

/// The first byte is the vocabulary's size.
bool token_map(std::string_view bytes) {
  if (bytes.empty()) return false;
  const auto vocabulary = static_cast<std::int64_t>(static_cast<unsigned char>(bytes.front()));
  TokenMap map;
  if (!takes([&] { map = parse_token_map(bytes.substr(1), vocabulary, "token_groups.json"); })) return false;
  const std::string text = token_map_json(map, vocabulary);
  TokenMap again;
  require(takes([&] { again = parse_token_map(text, vocabulary, "again"); }),
          "a map that was written is refused: " + text);
  require(again == map, "a map changes when it is written: " + text);
  return true;
}

}  // namespace fabula::fuzz
