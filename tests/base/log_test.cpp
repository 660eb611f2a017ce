#include "base/log.hpp"

#include <gtest/gtest.h>

#include "log_capture.hpp"

namespace fabula {
namespace {

// A library prints nothing by itself.
TEST(Log, SaysNothingWithoutASink) {
  const LogSink before = set_log_sink({});
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  info("a");
  warn("b");
  log_progress("c");
  EXPECT_EQ(testing::internal::GetCapturedStderr() + testing::internal::GetCapturedStdout(), "");
  EXPECT_FALSE(progress_redraws());
  set_log_sink(before);
}

TEST(Log, GoesToTheSinkThatIsSet) {
  const test::LogCapture log;
  info("{} of {}", 1, 2);
  warn("careful");
  log_progress("step 3");
  EXPECT_EQ(log.text(), "1 of 2\nwarning: careful\nstep 3\n");
}

}  // namespace
}  // namespace fabula
