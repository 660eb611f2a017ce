#pragma once
#include <random>
#include <string>

#include "fabula/error.hpp"

namespace fabula::test {

/// A damaged copy: a few bytes flipped, removed, repeated, or the text cut short. The same generator state gives the
/// same damage.
inline std::string mutate(const std::string& original, std::mt19937& random) {
  std::string text = original;
  const int edits = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < edits && !text.empty(); ++i) {
    const std::size_t at = random() % text.size();
    switch (random() % 6) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text[at] = static_cast<char>(text[at] ^ (1 << (random() % 8)));
        break;
      case 2:
        text.erase(at, 1 + random() % 16);
        break;
      case 3:
        text.insert(at, text.substr(at, 1 + random() % 16));
        break;
      case 4:
        text[at] = "0123456789-{}[]\",:e."[random() % 20];
        break;
      default:
        if (random() % 4 == 0) text.resize(at);
    }
  }
  return text;
}

/// True when the action returned, false when it threw Error; any other exception leaves and fails the test.
template <class Action>
bool succeeds_or_throws_error(Action action) {
  try {
    action();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace fabula::test
