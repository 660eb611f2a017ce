#pragma once
#include <random>
#include <string>
#include <string_view>

namespace fabula::test {

/// Random UTF-8 of up to 40 characters: words, digits, punctuation, white space, and characters of all lengths that are
/// assigned; without `left_out`.
inline std::string random_text(std::mt19937& random, std::string_view left_out = "") {
  static constexpr std::string_view kPieces[] = {
      "the",    "The",    " cat",       " little",    "'s",     "'ll",    "'S",     "n't",    "1",      "42",
      "2026",   " 7",     ".",          ",",          "!?",     "...",    " -- ",   " ",      "  ",     "   ",
      "\n",     "\n\n",   "\r\n",       "\t",         "_",      "<",      ">",      "/",      "\\",     "\"",
      "{}",     "\u00e9", "\u00fc",     "\u00df",     "\u0394", "\u0436", "\u05d0", "\u0639", "\u0915", "\u0e01",
      "\u4e2d", "\u6587", "\ud55c",     "\u3042",     "\u20ac", "\u2581", "\u2026", "\u00a0", "\u3000", "\u00b2",
      "\u0664", "\u2167", "\U0001f600", "\U0001d7d8", "e\u0301"};
  std::string text;
  for (std::size_t count = random() % 41; count > 0; --count) {
    const std::string_view piece = kPieces[random() % std::size(kPieces)];
    if (piece == left_out) continue;
    if (random() % 3 == 0)
      text += static_cast<char>('a' + random() % 26);
    else
      text += piece;
  }
  return text;
}

}  // namespace fabula::test
