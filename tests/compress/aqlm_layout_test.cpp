#include "compress/aqlm_layout.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <tuple>

#include "compress/random_linear.hpp"
#include "expect_error.hpp"
#include "formats/safetensors.hpp"
#include "temp_dir.hpp"

namespace fabula::compress {
namespace {

using test::expect_error;

AdditiveFit small_fit(const AdditiveFormat& format) {
  const RandomLinear of(24, 32, 64, 71);
  const std::vector<Linear> linears = {of.linear()};
  return fit_additive(linears, {.format = format, .most_rounds = 2});
}

TensorSource half_tensor(const std::string& name, const std::vector<std::int64_t>& shape,
                         std::span<const float> numbers) {
  TensorSource source = tensor_from_memory(name, shape, numbers);
  source.dtype = TensorDtype::kF16;
  return source;
}

void write_linear(const std::filesystem::path& path, const std::string& name, const AdditiveFit& fit) {
  const AdditiveFormat& format = fit.codebooks.format;
  const AdditiveCodes& codes = fit.matrices[0];
  const AqlmShapes shapes = aqlm_shapes(format, codes.outputs, codes.inputs);
  const TensorDtype dtype = aqlm_code_bytes(format.bits) == 1 ? TensorDtype::kI8 : TensorDtype::kI16;
  write_safetensors(path, {integer_tensor(name + ".codes", shapes.codes, aqlm_codes(format, codes), dtype),
                           half_tensor(name + ".codebooks", shapes.codebooks, fit.codebooks.numbers),
                           half_tensor(name + ".scales", shapes.scales, codes.scales)});
}

AqlmLinear read_linear(const SafetensorsFile& file, const std::string& name, const AdditiveFormat& format,
                       std::int64_t outputs, std::int64_t inputs) {
  const auto numbers = [&](const std::string& part) {
    std::vector<float> values(static_cast<std::size_t>(file.info(name + part).elements));
    file.read_f32(name + part, values);
    return values;
  };
  const std::vector<float> codebooks = numbers(".codebooks"), scales = numbers(".scales");
  return read_aqlm(name, format, outputs, inputs,
                   {file.raw(name + ".codes"), codebooks, scales, file.info(name + ".codes").shape,
                    file.info(name + ".codebooks").shape, file.info(name + ".scales").shape});
}

std::vector<AdditiveFormat> formats() {
  return {{2, 8, 8}, {1, 8, 8}, {3, 4, 8}, {1, 10, 8}, {2, 1, 4}};
}

TEST(AqlmLayout, WhatIsWrittenIsRead) {
  const test::TempDir dir;
  for (const AdditiveFormat& format : formats()) {
    const AdditiveFit fit = small_fit(format);
    write_linear(dir / "codes.safetensors", "layer.q", fit);
    const AqlmLinear linear = read_linear(SafetensorsFile::open(dir / "codes.safetensors"), "layer.q", format, 24, 32);
    EXPECT_EQ(linear.codes.codes, fit.matrices[0].codes) << format.codebooks << "x" << format.bits;
    EXPECT_EQ(linear.codes.scales, fit.matrices[0].scales);
    EXPECT_EQ(linear.codebooks.numbers, fit.codebooks.numbers);
  }
}

TEST(AqlmLayout, CodesAreTwosComplementOfTheirBits) {
  const AdditiveCodes codes{.outputs = 1, .inputs = 32, .groups = 4, .codes = {0, 127, 128, 255}};
  EXPECT_EQ(aqlm_codes({1, 8, 8}, codes), (std::vector<std::int32_t>{0, 127, -128, -1}));
  const AdditiveCodes few{.outputs = 1, .inputs = 32, .groups = 4, .codes = {0, 7, 8, 15}};
  EXPECT_EQ(aqlm_codes({1, 4, 8}, few), (std::vector<std::int32_t>{0, 7, -8, -1}));
}

/// A Python that has PyTorch; empty: there is none.
std::string python_with_torch() {
  const char* const named = std::getenv("FABULA_PYTHON");
  for (const std::string python : {named != nullptr ? named : "", "python3", "/usr/bin/python3"})
    if (!python.empty() && std::system((python + " -c 'import torch' >/dev/null 2>&1").c_str()) == 0) return python;
  return {};
}

// A reader and a writer that share nothing with this one.
TEST(AqlmLayout, ExchangedWithPyTorch) {
  const std::string python = python_with_torch();
  if (python.empty()) GTEST_SKIP() << "no Python with PyTorch (Debian: python3-torch; FABULA_PYTHON names one)";
  const std::string script = python + " '" FABULA_SOURCE_DIR "/scripts/check_aqlm.py' ";
  const test::TempDir dir;
  const AdditiveFit fit = small_fit({2, 8, 8});
  write_linear(dir / "codes.safetensors", "layer.q", fit);
  const std::vector<float> dense = expand(fit.codebooks, fit.matrices[0]);
  write_safetensors(dir / "dense.safetensors", {tensor_from_memory("layer.q.weight", {24, 32}, dense)});
  const std::string check = script + "'" + (dir / "codes.safetensors").string() + "' --dense '" +
                            (dir / "dense.safetensors").string() + "' >/dev/null";
  EXPECT_EQ(std::system(check.c_str()), 0) << check;

  const std::string make = script + "'" + (dir / "made.safetensors").string() + "' --make 1x12";
  ASSERT_EQ(std::system(make.c_str()), 0) << make;
  const SafetensorsFile file = SafetensorsFile::open(dir / "made.safetensors");
  for (const auto& [name, outputs, inputs] :
       {std::tuple<std::string, std::int64_t, std::int64_t>{"model.layers.0.self_attn.q_proj", 24, 32},
        {"model.layers.0.mlp.down_proj", 16, 40}}) {
    const AqlmLinear linear = read_linear(file, name, {1, 12, 8}, outputs, inputs);
    const std::vector<float> found = expand(linear.codebooks, linear.codes);
    std::vector<float> expected(found.size());
    file.read_f32(name + ".weight", expected);
    EXPECT_EQ(found, expected) << "one product of two numbers of fp16 is exact in fp32";
  }
}

TEST(AqlmLayout, BadInput) {
  const AdditiveFormat format{1, 4, 8};
  const AqlmShapes shapes = aqlm_shapes(format, 2, 16);
  std::vector<std::byte> codes(4);
  std::vector<float> codebooks(16 * 8), scales(2, 1.0f);
  const auto tensors = [&] {
    return AqlmTensors{codes, codebooks, scales, shapes.codes, shapes.codebooks, shapes.scales};
  };
  EXPECT_EQ(read_aqlm("q", format, 2, 16, tensors()).codes.codes.size(), 4);
  expect_error(ErrorCode::kUnsupported, {"q has 17 inputs"}, [&] { read_aqlm("q", format, 2, 17, tensors()); });
  expect_error(ErrorCode::kFormat, {"q.codes is [2, 2, 1]", "[2, 3, 1]"},
               [&] { read_aqlm("q", format, 2, 24, tensors()); });
  codes[2] = std::byte{8};
  expect_error(ErrorCode::kFormat, {"code 2 is 8", "-8 to 7"}, [&] { read_aqlm("q", format, 2, 16, tensors()); });
  codes.resize(8);
  expect_error(ErrorCode::kFormat, {"8 bytes for 4 codes"}, [&] { read_aqlm("q", format, 2, 16, tensors()); });
  codes.assign(4, std::byte{0});
  codebooks[5] = NAN;
  expect_error(ErrorCode::kFormat, {"q.codebooks", "number 5"}, [&] { read_aqlm("q", format, 2, 16, tensors()); });
}

}  // namespace
}  // namespace fabula::compress
