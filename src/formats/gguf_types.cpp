#include "formats/gguf_types.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace fabula {
namespace {

// Of ggml.h's types those that files have; numbers that are missing were given up.
constexpr std::array<std::pair<std::uint32_t, GgufTypeInfo>, 35> kGgufTypes = {{
    {0, {"F32", 1, 4}},         {1, {"F16", 1, 2}},         {2, {"Q4_0", 32, 18}},      {3, {"Q4_1", 32, 20}},
    {6, {"Q5_0", 32, 22}},      {7, {"Q5_1", 32, 24}},      {8, {"Q8_0", 32, 34}},      {9, {"Q8_1", 32, 36}},
    {10, {"Q2_K", 256, 84}},    {11, {"Q3_K", 256, 110}},   {12, {"Q4_K", 256, 144}},   {13, {"Q5_K", 256, 176}},
    {14, {"Q6_K", 256, 210}},   {15, {"Q8_K", 256, 292}},   {16, {"IQ2_XXS", 256, 66}}, {17, {"IQ2_XS", 256, 74}},
    {18, {"IQ3_XXS", 256, 98}}, {19, {"IQ1_S", 256, 50}},   {20, {"IQ4_NL", 32, 18}},   {21, {"IQ3_S", 256, 110}},
    {22, {"IQ2_S", 256, 82}},   {23, {"IQ4_XS", 256, 136}}, {24, {"I8", 1, 1}},         {25, {"I16", 1, 2}},
    {26, {"I32", 1, 4}},        {27, {"I64", 1, 8}},        {28, {"F64", 1, 8}},        {29, {"IQ1_M", 256, 56}},
    {30, {"BF16", 1, 2}},       {34, {"TQ1_0", 256, 54}},   {35, {"TQ2_0", 256, 66}},   {39, {"MXFP4", 32, 17}},
    {40, {"NVFP4", 64, 36}},    {41, {"Q1_0", 128, 18}},    {42, {"Q2_0", 64, 18}},
}};

struct KindRow {
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array<KindRow, 13> kGgufKinds = {{
    {"an 8-bit unsigned number", 1},
    {"an 8-bit number", 1},
    {"a 16-bit unsigned number", 2},
    {"a 16-bit number", 2},
    {"a 32-bit unsigned number", 4},
    {"a 32-bit number", 4},
    {"a 32-bit float", 4},
    {"true or false", 1},
    {"a text", 0},
    {"an array", 0},
    {"a 64-bit unsigned number", 8},
    {"a 64-bit number", 8},
    {"a 64-bit float", 8},
}};

}  // namespace

const GgufTypeInfo* gguf_type_info(GgufType type) {
  const auto row = std::find_if(kGgufTypes.begin(), kGgufTypes.end(),
                                [&](const auto& entry) { return entry.first == static_cast<std::uint32_t>(type); });
  return row == kGgufTypes.end() ? nullptr : &row->second;
}

namespace gguf {

std::size_t kind_bytes(GgufKind kind) {
  return kGgufKinds[static_cast<std::size_t>(kind)].bytes;
}
std::string_view kind_name(GgufKind kind) {
  return kGgufKinds[static_cast<std::size_t>(kind)].name;
}

std::optional<Extent> extent_of(GgufType type, std::span<const std::int64_t> shape) {
  constexpr std::int64_t kLimit =
      std::numeric_limits<std::int64_t>::max() / 512;  // times a block's bytes it still fits
  const GgufTypeInfo* info = gguf_type_info(type);
  if (info == nullptr || shape.empty() || shape.back() % info->block != 0) return std::nullopt;
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) {
    if (size < 1 || elements > kLimit / size) return std::nullopt;
    elements *= size;
  }
  return Extent{elements, static_cast<std::uint64_t>(elements / info->block) * info->bytes};
}

}  // namespace gguf
}  // namespace fabula
