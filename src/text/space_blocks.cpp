#include "text/space_blocks.hpp"

namespace fabula::text {
namespace {

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  while (true) {
    const size_t at = text.find(from);
    out.append(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    out.append(to);
    text.remove_prefix(at + from.size());
  }
}

}  // namespace

std::string blocks_to_spaces(std::string_view text) {
  return replaced(text, kSpaceBlock, " ");
}

std::string spaces_to_blocks(std::string_view text) {
  return replaced(text, " ", kSpaceBlock);
}

}  // namespace fabula::text
