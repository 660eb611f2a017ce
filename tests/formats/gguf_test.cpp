#include "formats/gguf.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <numeric>

#include "base/atomic_file.hpp"
#include "base/file_io.hpp"
#include "expect_error.hpp"
#include "formats/gguf_bytes.hpp"
#include "formats/mutate.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::GgufBytes;
using test::TempDir;

constexpr std::uint32_t kU32 = 4, kF32Kind = 6, kBool = 7, kString = 8, kArray = 9, kU64 = 10;

GgufFile open_bytes(const TempDir& dir, const std::string& bytes) {
  std::ofstream(dir / "model.gguf", std::ios::binary) << bytes;
  return GgufFile::open(dir / "model.gguf");
}

void expect_refused(const std::string& bytes, std::vector<std::string> parts, ErrorCode code = ErrorCode::kFormat) {
  TempDir dir;
  parts.push_back("model.gguf");
  expect_error(code, parts, [&] { open_bytes(dir, bytes); });
}

GgufTensorSource floats(std::string name, std::vector<std::int64_t> shape, const std::vector<float>& values) {
  return {std::move(name), GgufType::kF32, std::move(shape),
          [&values](const GgufSink& sink) { sink(std::as_bytes(std::span(values))); }};
}

TEST(Gguf, WhatIsWrittenIsRead) {
  TempDir dir;
  std::vector<float> matrix(15);
  std::iota(matrix.begin(), matrix.end(), 1.0f);
  const std::vector<float> vector = {1.5f};
  GgufKeys keys;
  keys.text("general.architecture", "gpt2");
  keys.u32("gpt2.block_count", 0xFFFFFFFF);
  keys.f32("epsilon", 1e-5);
  keys.flag("yes", true);
  keys.texts("tokens", std::vector<std::string>{"a", "", "\u0120the"});
  keys.i32s("types", std::vector<std::int32_t>{1, -3});
  keys.f32s("scores", std::vector<float>{0.5f});
  keys.texts("none", {});
  const std::uint64_t size = write_gguf(dir / "m", keys, {floats("a", {3, 5}, matrix), floats("b", {1}, vector)});
  EXPECT_EQ(size, std::filesystem::file_size(dir / "m"));
  EXPECT_EQ(size % 32, 0u);  // the last tensor is padded too
  const GgufFile file = GgufFile::open(dir / "m");
  EXPECT_EQ(file.keys().size(), 8u);
  EXPECT_EQ(file.text("general.architecture"), "gpt2");
  EXPECT_EQ(file.integer("gpt2.block_count"), 0xFFFFFFFF);
  EXPECT_EQ(file.number("epsilon"), 1e-5f);
  EXPECT_EQ(file.flag("yes"), true);
  EXPECT_EQ(file.texts("tokens"), (std::vector<std::string_view>{"a", "", "\u0120the"}));
  EXPECT_EQ(file.integers("types"), (std::vector<std::int64_t>{1, -3}));
  EXPECT_EQ(file.numbers("scores"), std::vector<float>{0.5f});
  EXPECT_EQ(file.texts("none")->size(), 0u);
  EXPECT_FALSE(file.integer("absent"));
  EXPECT_EQ(file.tensors(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(file.info("a").shape, (std::vector<std::int64_t>{3, 5}));
  EXPECT_EQ(file.info("b").offset, file.info("a").offset + 64);
  EXPECT_EQ(std::memcmp(file.raw("a").data(), matrix.data(), 60), 0);
  expect_error(ErrorCode::kNotFound, {"no tensor \"c\""}, [&] { file.info("c"); });
}

TEST(Gguf, TheBytesAreTheFormats) {
  TempDir dir;
  const std::vector<float> matrix = {1, 2, 3, 4, 5, 6};
  GgufKeys keys;
  keys.text("general.architecture", "x");
  keys.texts("t", std::vector<std::string>{"ab"});
  keys.flag("f", true);
  keys.u32("n", 7);
  write_gguf(dir / "m", keys, {floats("w", {2, 3}, matrix)});
  GgufBytes expected;
  expected.start(1, 4).key("general.architecture", kString).text("x");
  expected.key("t", kArray).u32(kString).u64(1).text("ab");
  expected.key("f", kBool).raw("\1").key("n", kU32).u32(7).tensor("w", {3, 2}, 0, 0).pad();
  for (const float value : matrix) expected.number(value);
  EXPECT_EQ(read_file(dir / "m"), expected.pad().bytes());
}

TEST(Gguf, EveryKindOfValueIsRead) {
  TempDir dir;
  GgufBytes bytes;
  bytes.start(0, 13).key("u8", 0).raw("\xff").key("i8", 1).raw("\xff").key("u16", 2).raw("\xff\xff").key("i16", 3);
  bytes.raw("\xfe\xff").key("u32", 4).u32(5).key("i32", 5).number<std::int32_t>(-6).key("f32", 6).number(0.5f);
  bytes.key("bool", 7).raw(std::string_view("\0", 1)).key("text", 8).text("hi").key("u64", 10).u64(1ull << 63);
  bytes.key("i64", 11).number<std::int64_t>(-7).key("f64", 12).number(0.25);
  bytes.key("array", 9).u32(3).u64(2).number<std::int16_t>(-1).number<std::int16_t>(2);
  const GgufFile file = open_bytes(dir, bytes);
  EXPECT_EQ(file.integer("u8"), 255);
  EXPECT_EQ(file.integer("i8"), -1);
  EXPECT_EQ(file.integer("u16"), 65535);
  EXPECT_EQ(file.integer("i16"), -2);
  EXPECT_EQ(file.integer("u32"), 5);
  EXPECT_EQ(file.integer("i32"), -6);
  EXPECT_EQ(file.integer("i64"), -7);
  EXPECT_EQ(file.number("f32"), 0.5);
  EXPECT_EQ(file.number("f64"), 0.25);
  EXPECT_EQ(file.flag("bool"), false);
  EXPECT_EQ(file.text("text"), "hi");
  EXPECT_EQ(file.integers("array"), (std::vector<std::int64_t>{-1, 2}));
  const ErrorCode format = ErrorCode::kFormat;
  expect_error(format, {"\"u64\" is a 64-bit unsigned number", "whole number below 2^63"},
               [&] { file.integer("u64"); });
  expect_error(format, {"\"text\" is a text, expected a whole number"}, [&] { file.integer("text"); });
  expect_error(format, {"\"u32\" is a 32-bit unsigned number, expected a float"}, [&] { file.number("u32"); });
  expect_error(format, {"\"array\" is an array, each a 16-bit number, expected a text"}, [&] { file.text("array"); });
  expect_error(format, {"\"f32\"", "expected true or false"}, [&] { file.flag("f32"); });
  expect_error(format, {"\"array\"", "an array of texts"}, [&] { file.texts("array"); });
  expect_error(format, {"\"array\"", "an array of 32-bit floats"}, [&] { file.numbers("array"); });
  expect_error(format, {"\"text\"", "an array of whole numbers"}, [&] { file.integers("text"); });
}

TEST(Gguf, EachHostileCountIsRefusedBeforeAnythingIsAllocated) {
  constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max() - 64;
  for (const std::uint64_t count : {kHuge, kHuge / 2, std::uint64_t{1} << 40, std::uint64_t{2}}) {
    expect_refused(GgufBytes().start(0, count), {"keys", "truncated or damaged"});
    expect_refused(GgufBytes().start(count, 0), {"tensors", "truncated or damaged"});
    expect_refused(GgufBytes().start(0, 1).key("aa", kString).u64(count), {"a text", "truncated or damaged"});
    expect_refused(GgufBytes().start(0, 1).key("a", kArray).u32(kU64).u64(count), {"an array", "truncated or damaged"});
    expect_refused(GgufBytes().start(0, 1).key("a", kArray).u32(kString).u64(count),
                   {"an array of texts", "truncated or damaged"});
    expect_refused(GgufBytes().start(0, 1).key("a", kArray).u32(kString).u64(1).u64(count),
                   {"a text of an array", "truncated or damaged"});
    // Names: a key's, and a tensor's.
    expect_refused(GgufBytes().start(0, 1).u64(count + 20).raw(std::string(20, 'a')), {"truncated or damaged"});
    expect_refused(GgufBytes().start(1, 0).u64(count + 40).raw(std::string(40, 'a')), {"truncated or damaged"});
  }
}

TEST(Gguf, KeysAreChecked) {
  expect_refused("", {"not a GGUF file"});
  expect_refused("PK\3\4 not this", {"ZIP archive", "not a GGUF file"});
  expect_refused("GGUF", {"the version"});
  for (const std::uint32_t version : {0u, 1u, 4u})
    expect_refused(GgufBytes().start(0, 0, version), {"a GGUF file of version ", "2 or 3"}, ErrorCode::kUnsupported);
  expect_refused(GgufBytes().start(0, 0, 0x03000000), {"big-endian"}, ErrorCode::kUnsupported);
  expect_refused(GgufBytes().start(0, 1).key("", kU32).u32(1), {"name has 0 bytes"});
  expect_refused(GgufBytes().start(0, 1).key(std::string(65536, 'a'), kU32).u32(1), {"name has 65536 bytes"});
  expect_refused(GgufBytes().start(0, 1).key("a", 13).u32(1), {"\"a\"", "13 is no kind"});
  expect_refused(GgufBytes().start(0, 1).key("a", kArray).u32(13).u64(0), {"\"a\"", "13 is no kind"});
  expect_refused(GgufBytes().start(0, 1).key("a", kArray).u32(kArray).u64(1).u32(kU32).u64(0), {"array of arrays"});
  expect_refused(GgufBytes().start(0, 2).key("a", kU32).u32(1).key("a", kF32Kind).number(1.0f), {"\"a\"", "twice"});
  for (const std::uint32_t alignment : {0u, 3u, 48u})
    expect_refused(GgufBytes().start(0, 1).key("general.alignment", kU32).u32(alignment), {"power of two"});
  expect_refused(GgufBytes().start(0, 1).key("general.alignment", kU64).u64(1ull << 32), {"power of two"});
  expect_refused(GgufBytes().start(0, 1).key("general.alignment", kString).text("32"), {"a whole number"});
}

/// A file of one tensor, whose data is as long as is said.
GgufBytes one_tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                     std::uint64_t offset, std::size_t data) {
  return GgufBytes().start(1, 0).tensor(name, dimensions, type, offset).pad().raw(std::string(data, '\0'));
}

TEST(Gguf, TensorsAreChecked) {
  TempDir dir;
  EXPECT_EQ(open_bytes(dir, one_tensor("w", {8}, 0, 0, 32)).info("w").bytes, 32u);
  EXPECT_EQ(open_bytes(dir, one_tensor("w", {2}, 0, 0, 8)).info("w").bytes, 8u);  // a last one without padding
  EXPECT_EQ(open_bytes(dir, one_tensor("w", {32, 2}, 8, 0, 68)).info("w").bytes, 68u);
  EXPECT_EQ(open_bytes(dir, one_tensor("w", {256}, 12, 0, 144)).info("w").bytes, 144u);  // Q4_K is known, not read
  expect_refused(one_tensor("", {8}, 0, 0, 32), {"name has 0 bytes"});
  expect_refused(one_tensor(std::string(64, 'w'), {8}, 0, 0, 32), {"name has 64 bytes"});
  expect_refused(one_tensor("w", {}, 0, 0, 32), {"\"w\"", "0 dimensions"});
  expect_refused(one_tensor("w", {1, 1, 1, 1, 8}, 0, 0, 32), {"\"w\"", "5 dimensions"});
  expect_refused(one_tensor("w", {8, 0}, 0, 0, 32), {"\"w\"", "[0, 8]", "no shape"});
  expect_refused(one_tensor("w", {1ull << 63}, 0, 0, 32), {"no shape"});
  for (const std::uint64_t size : {1ull << 31, 1ull << 32, 1ull << 62, ~0ull >> 1})
    expect_refused(one_tensor("w", {size, size}, 0, 0, 32), {"no shape"});
  expect_refused(one_tensor("w", {1ull << 16, 1ull << 16, 1ull << 16, 1ull << 16}, 0, 0, 32), {"no shape"});
  expect_refused(one_tensor("w", {33}, 8, 0, 68), {"no shape of a tensor of Q8_0"});
  expect_refused(one_tensor("w", {8}, 4, 0, 32), {"\"w\"", "the number 4"}, ErrorCode::kUnsupported);
  expect_refused(one_tensor("w", {8}, 4711, 0, 32), {"the number 4711"}, ErrorCode::kUnsupported);
  for (const std::uint64_t offset : {std::uint64_t{32}, std::uint64_t{1}, ~std::uint64_t{0}})
    expect_refused(one_tensor("w", {8}, 0, offset, 96), {"\"w\"", "expected 0"});
  expect_refused(one_tensor("w", {8}, 0, 0, 31), {"\"w\"", "beyond the file's end"});
  expect_refused(one_tensor("w", {1ull << 40}, 0, 0, 32), {"beyond the file's end"});
  expect_refused(one_tensor("w", {8}, 0, 0, 33), {"1 bytes after the last tensor"});
  const auto two = [](std::string_view second, std::uint64_t offset) {
    GgufBytes bytes;
    bytes.start(2, 0).tensor("a", {1}, 0, 0).tensor(second, {1}, 0, offset).pad();
    return bytes.raw(std::string(64, '\0'));
  };
  EXPECT_EQ(open_bytes(dir, two("b", 32)).tensors().size(), 2u);
  expect_refused(two("a", 32), {"\"a\"", "twice"});
  expect_refused(two("b", 4), {"\"b\"", "at byte 4", "expected 32"});
  expect_refused(two("b", 0), {"\"b\"", "at byte 0", "expected 32"});  // they overlap
}

TEST(Gguf, AnotherAlignmentIsKept) {
  TempDir dir;
  GgufBytes bytes;
  bytes.start(2, 1).key("general.alignment", kU32).u32(128).tensor("a", {1}, 0, 0).tensor("b", {1}, 0, 128).pad(128);
  bytes.raw(std::string(128 + 4, '\0'));
  const GgufFile file = open_bytes(dir, bytes);
  EXPECT_EQ(file.info("b").offset % 128, 0u);
  EXPECT_EQ(file.info("b").offset, file.info("a").offset + 128);
}

TEST(Gguf, DamagedFilesAreReadOrRefused) {
  TempDir dir;
  GgufKeys keys;
  keys.text("general.architecture", "llama");
  keys.texts("tokens", std::vector<std::string>{"a", "bc"});
  const std::vector<float> values(64), norm(32);
  write_gguf(dir / "m", keys, {floats("token_embd.weight", {2, 32}, values), floats("output_norm.weight", {32}, norm)});
  const std::string good = read_file(dir / "m");
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i)
    test::succeeds_or_throws_error([&] { open_bytes(dir, test::mutate(good.substr(0, 320), random)); });
  for (std::size_t size = 0; size + 32 < good.size(); ++size)
    EXPECT_FALSE(test::succeeds_or_throws_error([&] { open_bytes(dir, good.substr(0, size)); })) << size;
}

TEST(Gguf, WhatTheFormatLacksIsNotWritten) {
  TempDir dir;
  const std::vector<float> values(33);
  const auto refused = [&](const std::vector<std::string>& parts, const GgufKeys& keys,
                           const std::vector<GgufTensorSource>& tensors) {
    write_file_atomically(dir / "m", "old");
    expect_error(ErrorCode::kInvalidArgument, parts, [&] { write_gguf(dir / "m", keys, tensors); });
    EXPECT_EQ(read_file(dir / "m"), "old");
  };
  refused({"\"\""}, {}, {floats("", {1}, values)});
  refused({"64 bytes"}, {}, {floats(std::string(64, 'a'), {1}, values)});
  refused({"\"a\"", "twice"}, {}, {floats("a", {1}, values), floats("a", {1}, values)});
  refused({"[1, 1, 1, 1, 1]"}, {}, {floats("a", {1, 1, 1, 1, 1}, values)});
  refused({"[]"}, {}, {floats("a", {}, values)});
  refused({"[0]"}, {}, {floats("a", {0}, values)});
  GgufTensorSource bytes = floats("a", {33}, values);
  bytes.type = GgufType::kQ8_0;
  refused({"[33]"}, {}, {bytes});
  GgufKeys twice, aligned;
  twice.u32("a", 1);
  twice.u32("a", 1);
  refused({"\"a\"", "twice"}, twice, {});
  aligned.u32("general.alignment", 64);
  refused({"general.alignment"}, aligned, {});
  expect_error(ErrorCode::kInvalidArgument, {"a is 4294967296"}, [&] { GgufKeys().u32("a", 1ll << 32); });
  // One that gives other bytes than it says is a bug, and replaces nothing.
  EXPECT_THROW(write_gguf(dir / "m", {}, {floats("a", {3}, values)}), Error);
  EXPECT_EQ(read_file(dir / "m"), "old");
}

}  // namespace
}  // namespace fabula
