#include "formats/run_state.hpp"

#include "fuzz/targets.hpp"

namespace fabula::fuzz {

bool run_state(std::string_view bytes) {
  RunState state;
  if (!takes([&] { state = parse_run_state(bytes, "state.json"); })) return false;
  const std::string text = run_state_json(state);
  RunState again;
  require(takes([&] { again = parse_run_state(text, "again"); }), "a state that was written is refused: " + text);
  require(run_state_json(again) == text, "a state changes when it is written: " + text);
  return true;
}

}  // namespace fabula::fuzz
