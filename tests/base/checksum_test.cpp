#include "base/checksum.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace fabula {
namespace {

TEST(Checksum, IsXxh64) {
  // The first four are published with the algorithm and its bindings.
  EXPECT_EQ(checksum(""), 0xef46db3751d8e999ull);
  EXPECT_EQ(checksum("a"), 0xd24ec4f1a98c6e5bull);
  EXPECT_EQ(checksum("abc"), 0x44bc2cf5ad770999ull);
  EXPECT_EQ(checksum("Nobody inspects the spammish repetition"), 0xfbcea83c8a378bf1ull);
  EXPECT_EQ(checksum_text(checksum("abc")), "44bc2cf5ad770999");
  EXPECT_EQ(checksum_text(1), "0000000000000001");
}

TEST(Checksum, PiecesDoNotMatter) {
  std::vector<std::byte> bytes(300);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 50);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::span<const std::byte> all = std::span(bytes).first(size);
    for (const std::size_t piece : {1, 5, 31, 32, 33, 64, 100}) {
      Checksum sum;
      for (std::size_t at = 0; at < size; at += piece) sum.add(all.subspan(at, std::min(piece, size - at)));
      ASSERT_EQ(sum.value(), checksum(all)) << size << " bytes in pieces of " << piece;
    }
  }
}

TEST(Checksum, EveryBitCounts) {
  std::vector<std::byte> bytes(75, std::byte{0x5A});
  const std::uint64_t whole = checksum(bytes);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_NE(checksum(bytes), whole) << "bit " << bit;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  EXPECT_EQ(checksum(bytes), whole);
}

}  // namespace
}  // namespace fabula
