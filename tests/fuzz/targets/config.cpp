#include <string>

#include "formats/config_io.hpp"
#include "fuzz/targets.hpp"

namespace fabula::fuzz {

bool config(std::string_view bytes) {
  RunConfig config;
  if (!takes([&] { config = parse_config(bytes, "config.json"); })) return false;
  const std::string text = config_json(config);
  RunConfig again;
  require(takes([&] { again = parse_config(text, "again"); }), "a config that was written is refused: " + text);
  require(config_json(again) == text, "a config changes when it is written: " + text);
  require(config_differences(config, again).empty(), "a config that was read again differs: " + text);
  takes([&] { validate_config(config, "config.json"); });
  return true;
}

}  // namespace fabula::fuzz
