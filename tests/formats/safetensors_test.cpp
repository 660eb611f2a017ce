#include "formats/safetensors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "base/half.hpp"
#include "expect_error.hpp"
#include "formats/mutate.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

std::string file_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

void expect_refused(const std::string& bytes, const std::vector<std::string>& parts) {
  TempDir dir;
  write_file_atomically(dir / "model.safetensors", bytes);
  std::vector<std::string> all = parts;
  all.push_back("model.safetensors");
  expect_error(ErrorCode::kFormat, all, [&] { SafetensorsFile::open(dir / "model.safetensors"); });
}

std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), -3.5f);
  return values;
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  TempDir dir;
  const std::vector<float> matrix = ramp(35);
  const std::vector<float> scalar = {std::numeric_limits<float>::denorm_min()};
  write_safetensors(dir / "m",
                    {tensor_from_memory("b.weight", {5, 7}, matrix), tensor_from_memory("a \"quoted\"", {}, scalar),
                     tensor_from_memory("empty", {0, 3}, {})},
                    {{"format", "pt"}, {"step", "12"}});
  const SafetensorsFile file = SafetensorsFile::open(dir / "m");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a \"quoted\"", "b.weight", "empty"}));
  EXPECT_EQ(file.metadata().at("step"), "12");
  EXPECT_EQ(file.info("b.weight").shape, (std::vector<std::int64_t>{5, 7}));
  EXPECT_EQ(file.info("b.weight").dtype, TensorDtype::kF32);
  EXPECT_EQ(file.info("empty").elements, 0);
  std::vector<float> read(35);
  file.read_f32("b.weight", read);
  EXPECT_EQ(read, matrix);
  std::vector<float> part(4);
  file.read_f32("b.weight", part, 31);
  EXPECT_EQ(part, std::vector<float>(matrix.end() - 4, matrix.end()));
  file.read_f32("a \"quoted\"", std::span(part).first(1));
  EXPECT_EQ(part[0], scalar[0]);
  expect_error(ErrorCode::kInvalidArgument, {"b.weight", "35 elements", "4 from 32"},
               [&] { file.read_f32("b.weight", part, 32); });
  expect_error(ErrorCode::kInvalidArgument, {"b.weight"}, [&] { file.read_f32("b.weight", part, -1); });
  expect_error(ErrorCode::kNotFound, {"no tensor \"c\""}, [&] { file.info("c"); });
}

TEST(Safetensors, LargeTensorsAreFetchedInPieces) {
  TempDir dir;
  const std::int64_t count = 2 * kTensorPieceElements + 17;
  std::vector<std::pair<std::int64_t, std::int64_t>> calls;
  TensorSource source{"t", {count}, [&](std::int64_t first, std::span<float> out) {
                        calls.emplace_back(first, static_cast<std::int64_t>(out.size()));
                        for (std::size_t i = 0; i < out.size(); ++i)
                          out[i] = static_cast<float>(first) + static_cast<float>(i);
                      }};
  write_safetensors(dir / "m", {source});
  EXPECT_EQ(calls, (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, kTensorPieceElements},
                                                                       {kTensorPieceElements, kTensorPieceElements},
                                                                       {2 * kTensorPieceElements, 17}}));
  std::vector<float> tail(2);
  SafetensorsFile::open(dir / "m").read_f32("t", tail, count - 2);
  EXPECT_EQ(tail[1], static_cast<float>(count - 1));
}

TEST(Safetensors, DataStartsAligned) {
  TempDir dir;
  for (const char* name : {"a", "ab", "abc", "abcdefg"}) {
    write_safetensors(dir / "m", {tensor_from_memory(name, {1}, std::vector<float>{1})});
    EXPECT_EQ(SafetensorsFile::open(dir / "m").info(name).offset % 8, 0u);
  }
}

TEST(Safetensors, HalfPrecisionIsConverted) {
  TempDir dir;
  // 1.5, -2, smallest subnormal, infinity in F16 at an odd offset; 1, -0.15625 in BF16
  const std::string data("\x07\x00\x3E\x00\xC0\x01\x00\x00\x7C\x80\x3F\x20\xBE", 13);
  write_file_atomically(dir / "m", file_bytes(R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
    "h":{"dtype":"F16","shape":[2,2],"data_offsets":[1,9]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[9,13]}})",
                                              data));
  const SafetensorsFile file = SafetensorsFile::open(dir / "m");
  std::vector<float> half(4);
  file.read_f32("h", half);
  EXPECT_EQ(half[0], 1.5f);
  EXPECT_EQ(half[1], -2.0f);
  EXPECT_EQ(half[2], 0x1p-24f);
  EXPECT_TRUE(std::isinf(half[3]));
  std::vector<float> brain(2);
  file.read_f32("b", brain);
  EXPECT_EQ(brain[0], 1.0f);
  EXPECT_EQ(brain[1], -0.15625f);
  EXPECT_EQ(static_cast<int>(file.raw("u")[0]), 7);
  expect_error(ErrorCode::kUnsupported, {"\"u\" is U8", "F32, F16 or BF16"},
               [&] { file.read_f32("u", std::span(brain).first(1)); });
  EXPECT_TRUE(std::isnan(half_to_float(0x7E00)));
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
  EXPECT_EQ(half_to_float(0x7BFF), 65504.0f);
}

TEST(Safetensors, DamagedFilesAreRefusedWithAReason) {
  const std::string ok = R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string data(8, '\0');
  expect_refused("1234567", {"7 bytes are too few"});
  expect_refused(file_bytes(ok, data).substr(0, 30), {"truncated"});
  expect_refused(std::string(8, '\xFF') + "{}", {"truncated or not safetensors"});
  expect_refused(file_bytes(ok, data.substr(1)), {"\"t\"", "ends at byte 8", "has 7"});
  expect_refused(file_bytes(ok, data + "x"), {"1 bytes after the last tensor"});
  expect_refused(file_bytes("not json", ""), {"not valid JSON"});
  expect_refused(file_bytes("[]", ""), {"not a JSON object"});
  expect_refused(file_bytes("\xFF\xFE", ""), {"not valid JSON"});
  expect_refused(file_bytes(R"({"t":3})", ""), {"\"t\"", "not an object"});
  expect_refused(file_bytes(R"({"t":{"dtype":"F32","shape":[2]}})", data), {"\"data_offsets\" is missing"});
  expect_refused(file_bytes(R"({"t":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", data), {"unknown dtype F31"});
  expect_refused(file_bytes(R"({"t":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", data),
                 {"\"shape\"", "non-negative"});
  expect_refused(file_bytes(R"({"t":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}})", data), {"\"shape\""});
  expect_refused(file_bytes(R"({"t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", data),
                 {"[3] needs 12 bytes", "gives 8"});
  expect_refused(file_bytes(R"({"t":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,8]}})", data),
                 {"too large"});
  expect_refused(file_bytes(R"({"t":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})", data),
                 {"\"shape\""});
  expect_refused(file_bytes(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", data), {"[8, 0]"});
  expect_refused(file_bytes(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", data),
                 {"unknown header field"});
  expect_refused(
      file_bytes(
          R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"u":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
          data),
      {"\"u\" overlaps \"t\""});
  expect_refused(file_bytes(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", data),
                 {"4 bytes before tensor \"t\""});
  expect_refused(
      file_bytes(
          R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
          data),
      {"\"t\" is there twice"});
  expect_refused(file_bytes(R"({"__metadata__":{"a":1}})", ""), {"__metadata__"});
  expect_refused(file_bytes(std::string(100000, '['), ""), {"nested deeper than 4"});
}

TEST(Safetensors, WriterRefusesBadTensors) {
  TempDir dir;
  const std::vector<float> one = {1};
  expect_error(ErrorCode::kInvalidArgument, {"\"a\"", "twice"}, [&] {
    write_safetensors(dir / "m", {tensor_from_memory("a", {1}, one), tensor_from_memory("a", {1}, one)});
  });
  expect_error(ErrorCode::kInvalidArgument, {"[-1]"}, [&] { write_safetensors(dir / "m", {{"a", {-1}, {}}}); });
  expect_error(ErrorCode::kInternal, {"\"a\" [2]"}, [&] { tensor_from_memory("a", {2}, one); });
  EXPECT_FALSE(std::filesystem::exists(dir / "m"));
}

TEST(Safetensors, MutatedFilesNeverCrash) {
  TempDir dir;
  const std::vector<float> values = ramp(12);
  write_safetensors(dir / "m",
                    {tensor_from_memory("first", {3, 4}, values), tensor_from_memory("second", {12}, values)},
                    {{"k", "v"}});
  const std::string original = read_file(dir / "m");
  std::mt19937 random(7);
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    {
      std::filesystem::remove(dir / "mutant");  // emptying it in place makes some file systems flush on close
      OutputFile file(dir / "mutant", OutputFile::Mode::kCreate);
      file.write(test::mutate(original, random));
    }
    accepted += test::succeeds_or_throws_error([&] {
      const SafetensorsFile file = SafetensorsFile::open(dir / "mutant");
      for (const std::string& name : file.names()) {
        std::vector<float> out(static_cast<std::size_t>(file.info(name).elements));
        file.read_f32(name, out);
      }
    });
  }
  EXPECT_GT(accepted, 0);     // damage inside the data is not visible
  EXPECT_LT(accepted, 2000);  // damage to the header is
}

TEST(Safetensors, TypesOfAllWidthsLieAligned) {
  const test::TempDir dir;
  const std::vector<float> values = {1.0f, -2.5f, 65504.0f};
  std::vector<TensorSource> sources;
  for (const TensorDtype dtype : {TensorDtype::kF16, TensorDtype::kBf16, TensorDtype::kF32}) {
    sources.push_back(tensor_from_memory(std::string(dtype_name(dtype)), {3}, values));
    sources.back().dtype = dtype;
  }
  sources.push_back(integer_tensor("whole", {2}, {-1, 1 << 30}));
  sources.push_back(integer_tensor("bytes", {3}, {-128, 127, -1}, TensorDtype::kI8));
  sources.push_back(integer_tensor("words", {2}, {-32768, 32767}, TensorDtype::kI16));
  write_safetensors(dir / "m.safetensors", sources);
  const SafetensorsFile file = SafetensorsFile::open(dir / "m.safetensors");
  for (const std::string& name : file.names())
    EXPECT_EQ(file.info(name).offset % dtype_bytes(file.info(name).dtype), 0u) << name;
  std::vector<float> read(3);
  for (const char* name : {"F16", "F32"}) {
    file.read_f32(name, read);
    EXPECT_EQ(read, values) << name;
  }
  file.read_f32("BF16", read);
  EXPECT_EQ(read, (std::vector<float>{1.0f, -2.5f, 65536.0f}));
  std::int32_t whole[2];
  std::memcpy(whole, file.raw("whole").data(), sizeof(whole));
  EXPECT_EQ(whole[0], -1);
  EXPECT_EQ(whole[1], 1 << 30);
  const std::vector<std::byte> bytes(file.raw("bytes").begin(), file.raw("bytes").end());
  EXPECT_EQ(bytes, (std::vector<std::byte>{std::byte{0x80}, std::byte{0x7F}, std::byte{0xFF}}));
  const std::vector<std::byte> words(file.raw("words").begin(), file.raw("words").end());
  EXPECT_EQ(words, (std::vector<std::byte>{std::byte{0}, std::byte{0x80}, std::byte{0xFF}, std::byte{0x7F}}));
  const std::vector<float> large = {70000.0f};
  sources = {tensor_from_memory("large", {1}, large)};
  sources.back().dtype = TensorDtype::kF16;
  test::expect_error(ErrorCode::kNumeric, {"\"large\"", "70000", "F16"},
                     [&] { write_safetensors(dir / "m.safetensors", sources); });
  EXPECT_TRUE(SafetensorsFile::open(dir / "m.safetensors").contains("whole"));
}

}  // namespace
}  // namespace fabula
