#pragma once
#include <map>
#include <string>
#include <string_view>

#include "base/philox.hpp"

namespace fabula::text {

/// Text with choices and slots.
///   [one|two|three]  one of them, each as likely; choices may hold choices and be empty
///   {name}           the word bound to the name, or one of the grammar's list of that name; expanded in turn
///   {Name}           the same with a capital letter
///   {a name}         the same after "a" or "an"; {A name} after "A" or "An"
class StoryTemplate {
 public:
  using Words = std::map<std::string, std::string, std::less<>>;

  StoryTemplate(Philox& random, const Words& words) : random_(random), words_(words) {}
  /// Throws kInternal for a slot that means nothing or brackets that do not match: the grammar is part of the program.
  std::string expand(std::string_view text) const;

 private:
  std::string expand_choice(std::string_view& rest) const;
  std::string expand_slot(std::string_view name) const;
  std::string_view meaning_of(std::string_view name) const;

  Philox& random_;
  const Words& words_;
};

}  // namespace fabula::text
