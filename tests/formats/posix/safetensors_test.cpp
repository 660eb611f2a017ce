#include "formats/safetensors.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

TEST(Safetensors, CutShortWhileItIsReadIsAnErrorWithTheFilesName) {
  TempDir dir;
  std::vector<float> values(100'000, 1.5f);
  write_safetensors(dir / "m", {tensor_from_memory("a", {100'000}, values)}, {});
  const SafetensorsFile file = SafetensorsFile::open(dir / "m");
  std::filesystem::resize_file(dir / "m", 5000);
  expect_error(ErrorCode::kIo, {(dir / "m").string(), "was cut short while it was read"},
               [&] { file.read_f32("a", values); });
}

TEST(Safetensors, AFailingSourceOrAFullDiskLeavesTheOldFile) {
  TempDir dir;
  const std::vector<float> old = {42};
  write_safetensors(dir / "m", {tensor_from_memory("old", {1}, old)});
  TensorSource broken{"t", {10}, [](std::int64_t, std::span<float>) { throw Error(ErrorCode::kDeviceLost, "lost"); }};
  expect_error(ErrorCode::kDeviceLost, {"lost"}, [&] { write_safetensors(dir / "m", {broken}); });
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::vector<float> large(1 << 20);
    try {
      write_safetensors(dir / "m", {tensor_from_memory("large", {1 << 20}, large)});
    } catch (const Error& error) {
      _exit(error.code() == ErrorCode::kIo ? 0 : 2);
    }
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE(SafetensorsFile::open(dir / "m").contains("old"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

}  // namespace
}  // namespace fabula
