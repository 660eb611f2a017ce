#include "base/printable.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/perplexity.hpp"

namespace fabula {
namespace {

TEST(Printable, ControlCharactersAreWrittenOut) {
  EXPECT_EQ(printable("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(printable("\x1b]0;title\a"), "\\x1b]0;title\\x07");
  EXPECT_EQ(printable(std::string_view("\0\r\x7f\b", 4)), "\\x00\\x0d\\x7f\\x08");
  EXPECT_EQ(printable("\u009b31m\u0080\u00a0"), "\\u009b31m\\u0080\u00a0");
}

TEST(Printable, OtherTextStaysAndOtherBytesAreWrittenOut) {
  for (const char* text : {"", "plain", "Grüße, Жук, 漢字, 🙂", "\u00a0\u07ff\u0800\ud7ff\ue000\U0010ffff"})
    EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable("r\xff"), "r\\xff");
  EXPECT_EQ(printable("\x9b"
                      "31m"),
            "\\x9b31m")
      << "the same control character in eight bits";
  EXPECT_EQ(printable("\xc0\x9b"), "\\xc0\\x9b") << "overlong";
  EXPECT_EQ(printable("\xe0\x82\x9b"), "\\xe0\\x82\\x9b") << "overlong";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half of a pair";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
  EXPECT_EQ(printable("\xe6\xbc"), "\\xe6\\xbc") << "cut short";
}

TEST(Perplexity, IsAPowerBeyondAMillion) {
  EXPECT_EQ(perplexity_text(1.934, 2), "1.93");
  EXPECT_EQ(perplexity_text(999999.5, 3), "999999.500");
  EXPECT_EQ(perplexity_text(12345678.0, 2), "1.23e+07");
  EXPECT_EQ(perplexity_text(std::exp(639.0), 3), "3.27e+277");
  EXPECT_EQ(perplexity_text(INFINITY, 2), "inf");
}

}  // namespace
}  // namespace fabula
