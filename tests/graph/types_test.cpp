// The table of element types, and the memory that a value of each takes.
#include "graph/types.hpp"

#include <gtest/gtest.h>

#include <set>

#include "graph/memory_plan.hpp"
#include "graph/reference.hpp"

namespace fabula::graph {
namespace {

constexpr DType kAll[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kU32, DType::kI8, DType::kU4};

TEST(ElementFacts, SayWhatHoldsOfEachType) {
  const std::vector<std::string_view> names{"fp32", "fp16", "bf16", "u32", "i8", "u4"};
  const std::vector<std::int64_t> bits{32, 16, 16, 32, 8, 4};
  const std::vector<std::uint32_t> codes{0, 1, 2, 0, 3, 4};  // as shaders/include/values.glsl has them
  for (std::size_t i = 0; i < std::size(kAll); ++i) {
    EXPECT_EQ(to_string(kAll[i]), names[i]);
    EXPECT_EQ(element_bits(kAll[i]), bits[i]) << names[i];
    EXPECT_EQ(storage_code(kAll[i]), codes[i]) << names[i];
    EXPECT_EQ(is_float(kAll[i]), i < 3) << names[i];
    EXPECT_EQ(is_half(kAll[i]), i == 1 || i == 2) << names[i];
    EXPECT_EQ(storage_error(kAll[i]) > 0, is_half(kAll[i])) << names[i];
  }
  EXPECT_EQ(kElementFacts.size(), std::size(kAll)) << "a type that this test does not know";
}

TEST(Shape, RowsTakeWholeSixteenBytes) {
  for (const DType dtype : kAll)
    for (const std::int64_t cols : {1, 3, 4, 5, 8, 15, 16, 17, 225}) {
      const Shape shape{3, cols, dtype};
      EXPECT_EQ(shape.row_bytes() % 16, 0) << to_string(shape);
      EXPECT_GE(shape.ld(), cols) << to_string(shape);
      EXPECT_LT(shape.row_bytes() - shape.dense_row_bytes(), 16) << to_string(shape);
      EXPECT_EQ(shape.bytes(), 3 * shape.row_bytes());
    }
  const Shape bytes{2, 17, DType::kI8};
  EXPECT_EQ(bytes.ld(), 32);
  EXPECT_EQ(bytes.bytes(), 64);
  EXPECT_EQ(to_string(bytes), "[2, 17] i8");
  const Shape nibbles{2, 33, DType::kU4};
  EXPECT_EQ(nibbles.ld(), 64);
  EXPECT_EQ(nibbles.bytes(), 64);
  EXPECT_EQ(nibbles.dense_row_bytes(), 17);
}

TEST(LinearLayout, CountsASignedByteAsOne) {
  LinearLayout layout(1 << 20, 256);
  layout.place(Pool::kStore, "codes", {10, 100, DType::kI8});  // rows of 112 bytes
  const Placement behind = layout.place(Pool::kStore, "scales", {1, 4});
  EXPECT_EQ(behind.pieces.front().offset, 1280u);
}

TEST(RefTensor, HoldsSignedBytesAsWords) {
  RefTensor<double> tensor({1, 2, DType::kI8});
  EXPECT_TRUE(tensor.f.empty());
  const std::vector<std::uint32_t> words{0xFFFFFFFFu, 7};
  set_words(tensor, words);
  EXPECT_EQ(static_cast<std::int32_t>(tensor.u[0]), -1);
  EXPECT_EQ(tensor.u[1], 7u);
}

}  // namespace
}  // namespace fabula::graph
