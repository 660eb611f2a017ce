#include "base/printable.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fcntl.h>

#include <array>
#include <cmath>

#include "base/log.hpp"
#include "base/perplexity.hpp"
#include "base/terminal.hpp"

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

// Everything that goes to the other end of a descriptor while this lives.
class Redirected {
 public:
  Redirected(int descriptor, int to, int read_from)
      : descriptor_(descriptor), former_(::dup(descriptor)), read_from_(read_from) {
    ::dup2(to, descriptor);
    ::close(to);
  }
  ~Redirected() {
    restore();
    ::close(read_from_);
  }
  std::string text() {
    std::fflush(stdout);
    restore();  // the last writer: what it wrote can be read to its end, which a terminal hands over in pieces
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t count = 0; (count = ::read(read_from_, buffer.data(), buffer.size())) > 0;)
      all.append(buffer.data(), static_cast<std::size_t>(count));
    return all;
  }

 private:
  void restore() {
    if (former_ < 0) return;
    ::dup2(former_, descriptor_);
    ::close(former_);
    former_ = -1;
  }
  int descriptor_, former_, read_from_;
};

TEST(Printable, MessagesCarryNoEscapeSequences) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  Redirected error(STDERR_FILENO, ends[1], ends[0]);
  const LogSink before = set_log_sink(stderr_sink());
  info("{}: \x1b[31m", "a");
  warn("two\nlines\r");
  log_progress("step \x1b[2J");
  set_log_sink(before);
  EXPECT_EQ(error.text(), "a: \\x1b[31m\nwarning: two\nlines\\x0d\nstep \\x1b[2J\n");
}

TEST(Printable, ProgressIsRedrawnOnATerminalAndEndedBeforeAMessage) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) GTEST_SKIP() << "no pseudo terminals here";
  Redirected error(STDERR_FILENO, ::open(::ptsname(master), O_RDWR | O_NOCTTY), master);
  const LogSink before = set_log_sink(stderr_sink());
  EXPECT_TRUE(progress_redraws());
  log_progress("step 1");
  log_progress("step \x1b[2");
  info("done");
  log_progress({});
  set_log_sink(before);
  EXPECT_EQ(error.text(), "step 1\r\x1b[Kstep \\x1b[2\r\ndone\r\n");
}

TEST(Printable, ResultsStayAsTheyAreButOnATerminal) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  {
    Redirected out(STDOUT_FILENO, ends[1], ends[0]);
    print("{}\x1b[31m\r\n", "a");
    EXPECT_EQ(out.text(), "a\x1b[31m\r\n");
  }
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) GTEST_SKIP() << "no pseudo terminals here";
  Redirected out(STDOUT_FILENO, ::open(::ptsname(master), O_RDWR | O_NOCTTY), master);
  print("{}\x1b[31m", "a");
  EXPECT_EQ(out.text(), "a\\x1b[31m");
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
