#include "base/signals.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace fabula {
namespace {

TEST(StopSignals, FirstAsksSecondEnds) {
  const pid_t child = fork();
  if (child == 0) {
    StopSignals signals;
    if (signals.requested()) _exit(1);
    raise(SIGINT);
    if (!signals.requested()) _exit(2);
    raise(SIGINT);
    _exit(3);  // not reached
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

TEST(StopSignals, RestoresTheFormerHandlers) {
  const auto former = std::signal(SIGTERM, SIG_IGN);
  {
    StopSignals signals;
    raise(SIGTERM);
    EXPECT_TRUE(signals.requested());
  }
  raise(SIGTERM);  // ignored again
  EXPECT_EQ(std::signal(SIGTERM, former), SIG_IGN);
}

}  // namespace
}  // namespace fabula
