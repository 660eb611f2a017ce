// The first use of a driver checks the kernels of the work at hand, and no later one does; --no-self-test leaves it
// out.
#include <gtest/gtest.h>

#include "cli/program.hpp"
#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

constexpr const char* kSaid = "self-test:";

TEST(SelfTest, RunsOnceForTheKernelsOfAModel) {
  const Args generate{"generate", scene().finished_run(), "--max-tokens", "3", "--cache-dir", scene().path("tested")};
  const Result first = fabula_ok(generate), second = fabula_ok(generate);
  EXPECT_NE(first.err.find(kSaid), std::string::npos) << first.err;
  EXPECT_EQ(second.err.find(kSaid), std::string::npos) << second.err;
  EXPECT_EQ(first.out, second.out);
}

TEST(SelfTest, IsLeftOutWhereToldSo) {
  const Result result = fabula_ok({"generate", scene().finished_run(), "--max-tokens", "3", "--no-self-test",
                                   "--cache-dir", scene().path("untested")});
  EXPECT_EQ(result.err.find(kSaid), std::string::npos) << result.err;
}

}  // namespace
}  // namespace fabula::cli_test
