#include "text/token_file.hpp"

#include <gtest/gtest.h>

#include "base/atomic_file.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"
#include "text/fixture.hpp"

namespace fabula::text {
namespace {

// By another program, while this one reads.
TEST(TokenFileCut, IsAnErrorWithTheFilesName) {
  test::TempDir dir;
  std::string text;
  while (text.size() < 100'000) text += "lowest newest\n<|endoftext|>\n";
  write_file_atomically(dir / "a.txt", text);
  prepare_token_file(std::vector<std::filesystem::path>{dir / "a.txt"}, test::small_tokenizer(), dir / "out.tokens", 2);
  const TokenFile file(dir / "out.tokens");
  std::vector<uint32_t> tokens(file.size());
  file.read(0, tokens);
  std::filesystem::resize_file(dir / "out.tokens", 128);
  test::expect_error(ErrorCode::kIo, {"out.tokens", "was cut short while it was read"},
                     [&] { file.read(file.size() - 10, std::span(tokens).first(10)); });
  test::expect_error(ErrorCode::kIo, {"out.tokens", "was cut short while it was read"},
                     [&] { file.for_each_run(0, file.size(), [](std::span<const uint32_t>) {}); });
}

}  // namespace
}  // namespace fabula::text
