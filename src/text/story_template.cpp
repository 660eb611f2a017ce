#include "text/story_template.hpp"

#include <cctype>
#include <vector>

#include "base/fail.hpp"
#include "text/story_grammar.hpp"

namespace fabula::text {
namespace {

std::string capitalised(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

std::string_view article_of(std::string_view word) {
  const bool silent_h = word.starts_with("honest");
  return silent_h || word.find_first_of("aeiou") == 0 ? "an " : "a ";
}

}  // namespace

std::string StoryTemplate::expand(std::string_view text) const {
  std::string out;
  while (!text.empty()) {
    if (text[0] == '[') {
      out += expand_choice(text);
    } else if (text[0] == '{') {
      const size_t end = text.find('}');
      ensure(end != std::string_view::npos, "story grammar: no }} after \"{}\"", text);
      out += expand_slot(text.substr(1, end - 1));
      text.remove_prefix(end + 1);
    } else {
      out += text[0];
      text.remove_prefix(1);
    }
  }
  return out;
}

/// `rest` starts at the bracket and ends up behind its partner.
std::string StoryTemplate::expand_choice(std::string_view& rest) const {
  std::vector<std::string_view> choices;
  size_t depth = 0, begin = 1;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '[') ++depth;
    const bool at_end = rest[i] == ']' && --depth == 0;
    if (at_end || (rest[i] == '|' && depth == 1)) {
      choices.push_back(rest.substr(begin, i - begin));
      begin = i + 1;
    }
    if (!at_end) continue;
    rest.remove_prefix(i + 1);
    return expand(choices[random_.below(static_cast<uint32_t>(choices.size()))]);
  }
  fail(ErrorCode::kInternal, "story grammar: no ] after \"{}\"", rest);
}

std::string StoryTemplate::expand_slot(std::string_view name) const {
  const bool capital = name[0] >= 'A' && name[0] <= 'Z';
  const bool article = name.starts_with("a ") || name.starts_with("A ");
  if (article) name.remove_prefix(2);
  std::string key(name);
  key[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(key[0])));
  std::string value = expand(meaning_of(key));
  if (article) value.insert(0, article_of(value));
  return capital ? capitalised(std::move(value)) : value;
}

std::string_view StoryTemplate::meaning_of(std::string_view name) const {
  if (const auto word = words_.find(name); word != words_.end()) return word->second;
  const std::span<const std::string_view> list = story_list(name);
  ensure(!list.empty(), "story grammar: nothing is named \"{}\"", name);
  return list[random_.below(static_cast<uint32_t>(list.size()))];
}

}  // namespace fabula::text
