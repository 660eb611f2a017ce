#include "formats/tune_file.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "formats/mutate.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;

TuneFile some_file() {
  TuneFile file{{"a card [vulkan-minimum]", "00ff", "12", "driver 1.2"}, {}, {{"matmul_tile", "abc"}, {"gelu", "0"}}};
  file.nodes["matmul transpose_b=1; in 4x3 f32; out 4x4 f32; of a, b"] = {"b", 1e-5, 2.5e-5, {"matmul_tile"}};
  file.nodes["gelu; in 1x1 f32"] = {"", 0.125, 0.125, {"gelu", "matmul_tile"}};
  return file;
}

TEST(TuneFile, ReadsBackExactly) {
  const test::TempDir dir;
  write_tune_file(dir / "new" / "tune.json", some_file());
  const TuneFile again = read_tune_file(dir / "new" / "tune.json");
  EXPECT_EQ(again.device, some_file().device);
  EXPECT_EQ(again.shaders, some_file().shaders);
  EXPECT_EQ(tune_file_json(again), tune_file_json(some_file()));
  expect_error(ErrorCode::kNotFound, {"none.json"}, [&] { read_tune_file(dir / "none.json"); });
}

TEST(TuneFile, SaysWhatIsWrong) {
  const auto replaced = [](const std::string& from, const std::string& to) {
    std::string text = tune_file_json(some_file());
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const auto refuse = [](const std::string& text, ErrorCode code, std::vector<std::string> parts) {
    parts.push_back("t.json");
    expect_error(code, parts, [&] { parse_tune_file(text, "t.json"); });
  };
  refuse("", ErrorCode::kFormat, {});
  refuse("[]", ErrorCode::kFormat, {"object"});
  refuse("{}", ErrorCode::kFormat, {"format"});
  refuse(replaced("\"format\": 1", "\"format\": 2"), ErrorCode::kUnsupported, {"format 2"});
  refuse(replaced("\"driver_uuid\"", "\"uuid\""), ErrorCode::kFormat, {"driver_uuid", "missing"});
  refuse(replaced("\"variant\": \"b\"", "\"variant\": 3"), ErrorCode::kFormat, {"matmul transpose_b=1", "text"});
  refuse(replaced("1e-05", "-1.0"), ErrorCode::kFormat, {"\"seconds\"", "above 0"});
  refuse(replaced("\"abc\"", "null"), ErrorCode::kFormat, {"shaders.matmul_tile"});
  refuse(tune_file_json(some_file()).substr(0, 200), ErrorCode::kFormat, {});
}

TEST(TuneFile, MutatedTextsNeverCrash) {
  const std::string good = tune_file_json(some_file());
  std::mt19937 random(11);
  int accepted = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::string text = test::mutate(good, random);
    accepted += test::succeeds_or_throws_error([&] { tune_file_json(parse_tune_file(text, "t")); });
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 2000);
}

TEST(KernelChoices, ReadBackExactly) {
  const KernelChoices choices{{"a \"b\"", "c"}, {"d", ""}};
  EXPECT_EQ(parse_kernel_choices(kernel_choices_json(choices), "s"), choices);
  EXPECT_EQ(parse_kernel_choices("{}", "s"), KernelChoices{});
  expect_error(ErrorCode::kFormat, {"state.json"}, [] { parse_kernel_choices("{\"a\": 1}", "state.json"); });
}

}  // namespace
}  // namespace fabula
