#include "base/terminal.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/log.hpp"

namespace fabula {
namespace {

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

TEST(Terminal, MessagesCarryNoEscapeSequences) {
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

TEST(Terminal, ProgressIsRedrawnOnATerminalAndEndedBeforeAMessage) {
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

TEST(Terminal, ResultsStayAsTheyAreButOnATerminal) {
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

}  // namespace
}  // namespace fabula
