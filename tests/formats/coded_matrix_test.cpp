// Matrices in few bits: their words, the tensors of a folder that stand for them, what is refused.
#include "formats/coded_matrix.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/half.hpp"
#include "base/philox.hpp"
#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "formats/model_tensors.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;

CodedMatrix random_codes(int bits, bool offsets, std::int64_t rows, std::int64_t cols) {
  CodedMatrix coded{.bits = bits, .has_offsets = offsets, .rows = rows, .cols = cols};
  Philox random(static_cast<std::uint64_t>(bits * 100 + cols));
  for (std::int64_t i = 0; i < rows * cols; ++i)
    coded.codes.push_back(static_cast<std::uint8_t>(random.below(1u << bits)));
  for (std::int64_t i = 0; i < rows * coded.groups(); ++i) {
    coded.scales.push_back(float_to_half(static_cast<float>(random.normal())));
    if (offsets) coded.offsets.push_back(float_to_half(static_cast<float>(random.normal())));
  }
  return coded;
}

TEST(CodedMatrix, WordsGiveBackTheCodes) {
  for (const int bits : {3, 4, 8})
    for (const std::int64_t cols : {1, 10, 11, 32, 43, 172}) {
      const CodedMatrix coded = random_codes(bits, false, 3, cols);
      const std::vector<std::int32_t> words = pack_codes(coded);
      EXPECT_EQ(static_cast<std::int64_t>(words.size()), 3 * ((cols * bits + 31) / 32));
      CodedMatrix back{.bits = bits, .rows = 3, .cols = cols};
      unpack_codes(std::as_bytes(std::span(words)), back);
      EXPECT_EQ(back.codes, coded.codes) << bits << " bits, " << cols << " columns";
    }
}

TEST(CodedMatrix, StandsForScaleTimesCode) {
  CodedMatrix coded{.bits = 3, .rows = 1, .cols = 33, .codes = std::vector<std::uint8_t>(33, 6), .scales = {}};
  coded.codes[32] = 1;
  coded.scales = {float_to_half(0.5f), float_to_half(2)};
  EXPECT_EQ(numbers_of(coded)[31], 1);   // 0.5 (6 - 4)
  EXPECT_EQ(numbers_of(coded)[32], -6);  // 2 (1 - 4)
  coded.has_offsets = true;
  coded.offsets = {float_to_half(-1), float_to_half(10)};
  EXPECT_EQ(numbers_of(coded)[31], 2);
  EXPECT_EQ(numbers_of(coded)[32], 12);
}

constexpr const char* kConfig = R"({"model_type": "gpt2", "vocab_size": 9, "n_positions": 8, "n_embd": 4, "n_head": 2,
  "n_layer": 1, "quantization_config": {"quant_method": "fabula", "method": "rtn", "tensors": {
    "w": {"bits": 4, "group_size": 32, "offsets": true, "shape": [40, 3], "transposed": true}}}})";

/// A folder with a tensor w [40, 3] whose codes lie as [3, 40].
struct Folder {
  CodedMatrix coded = random_codes(4, true, 3, 40);
  test::TempDir dir;

  Folder() { write(kConfig, coded); }
  void write(const std::string& config, const CodedMatrix& matrix) const {
    std::ofstream(dir / "config.json", std::ios::binary) << config;
    write_safetensors(dir / "model.safetensors", coded_tensors("w", matrix));
  }
  void refused(ErrorCode code, const std::vector<std::string>& parts) const {
    expect_error(code, parts, [&] { ModelTensors::open(dir.path()).read_coded("w"); });
  }
  static std::string config(const std::string& from, const std::string& to) {
    std::string text = kConfig;
    return text.replace(text.find(from), from.size(), to);
  }
};

TEST(ModelTensorsInFewBits, AreTheTensorsThatTheyStandFor) {
  const Folder folder;
  const ModelTensors tensors = ModelTensors::open(folder.dir.path());
  EXPECT_EQ(tensors.names(), std::vector<std::string>{"w"});
  EXPECT_TRUE(tensors.is_coded("w"));
  EXPECT_EQ(tensors.info("w").shape, (std::vector<std::int64_t>{40, 3}));
  const CodedMatrix back = tensors.read_coded("w");
  EXPECT_EQ(back.codes, folder.coded.codes);
  EXPECT_EQ(back.scales, folder.coded.scales);
  EXPECT_EQ(back.offsets, folder.coded.offsets);
  const std::vector<float> numbers = numbers_of(folder.coded);
  std::vector<float> read(120), part(5);
  tensors.read_f32("w", read);
  for (std::size_t i = 0; i < 120; ++i) EXPECT_EQ(read[i], numbers[i % 3 * 40 + i / 3]);
  tensors.read_f32("w", part, 7);
  EXPECT_EQ(part, std::vector<float>(read.begin() + 7, read.begin() + 12));
  expect_error(ErrorCode::kInvalidArgument, {"120 numbers"}, [&] { tensors.read_f32("w", part, 118); });
  const RunConfig config = load_config(folder.dir / "config.json");
  EXPECT_EQ(config.compression.method, "rtn");
  EXPECT_TRUE(config.compression.tensors.at("w").transposed);
  // What is written of it is what was read, and of a model in floats nothing.
  const RunConfig again = parse_config(config_json(config, TensorDtype::kF32, config.compression), "again");
  EXPECT_EQ(again.compression.tensors.at("w").shape, (std::vector<std::int64_t>{40, 3}));
  EXPECT_EQ(again.compression.tensors.at("w").bits, 4);
  EXPECT_EQ(config_json(config).find("quantization_config"), std::string::npos);
}

TEST(ModelTensorsInFewBits, RefusesWhatDisagrees) {
  const Folder folder;
  const auto with = [&](const std::string& from, const std::string& to) {
    folder.write(Folder::config(from, to), folder.coded);
  };
  with("[40, 3]", "[41, 3]");
  folder.refused(ErrorCode::kFormat, {"w.codes", "[3, 5]", "[3, 6]"});
  with("\"bits\": 4", "\"bits\": 5");
  folder.refused(ErrorCode::kUnsupported, {"\"w\"", "5 bits", "3, 4 and 8"});
  with("\"bits\": 4", "\"bits\": -4");
  folder.refused(ErrorCode::kFormat, {"\"w\"", "bits"});
  with("\"bits\": 4", "\"bits\": 8");
  folder.refused(ErrorCode::kUnsupported, {"bytes with offsets"});
  with("\"group_size\": 32", "\"group_size\": 64");
  folder.refused(ErrorCode::kUnsupported, {"groups of 64"});
  with("[40, 3]", "[40]");
  folder.refused(ErrorCode::kFormat, {"shape"});
  with("\"w\":", "\"v\":");
  folder.refused(ErrorCode::kFormat, {"v.codes"});
  for (const std::string other : {"gptq", "fabulous"}) {
    with("\"fabula\"", '"' + other + '"');
    expect_error(ErrorCode::kUnsupported, {"quantization_config", "fabula compress"},
                 [&] { load_config(folder.dir / "config.json"); });
  }
  CodedMatrix bad = folder.coded;
  bad.offsets[2] = 0x7C00;
  folder.write(kConfig, bad);
  folder.refused(ErrorCode::kFormat, {"w.offsets", "number 2", "not finite"});
  bad.has_offsets = false;
  folder.write(kConfig, bad);
  folder.refused(ErrorCode::kFormat, {"has no tensor \"w.offsets\""});
}

}  // namespace
}  // namespace fabula
