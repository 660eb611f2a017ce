#include "formats/gguf.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

TEST(Gguf, CutShortWhileItIsReadIsAnErrorWithTheFilesName) {
  TempDir dir;
  std::vector<float> values(100'000, 1.0f);
  write_gguf(dir / "m", {},
             {{"a", GgufType::kF32, {100'000}, [&](const GgufSink& sink) { sink(std::as_bytes(std::span(values))); }}});
  const GgufFile file = GgufFile::open(dir / "m");
  std::filesystem::resize_file(dir / "m", 5000);
  expect_error(ErrorCode::kIo, {(dir / "m").string(), "was cut short while it was read"}, [&] { file.check(); });
}

}  // namespace
}  // namespace fabula
