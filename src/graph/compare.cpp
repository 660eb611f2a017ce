#include "graph/compare.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/fail.hpp"

namespace fabula::graph {
namespace {

bool finite(float v) {
  return (std::bit_cast<std::uint32_t>(v) & 0x7F800000u) != 0x7F800000u;
}

/// Walks over a tensor row by row, and over the tile that it repeats.
class TileWalk {
 public:
  TileWalk(const Shape& tile, std::int64_t columns) : tile_(tile), columns_(columns) {}
  std::size_t index() const { return static_cast<std::size_t>(tile_row_ * tile_.cols + tile_column_); }
  void advance() {
    if (++tile_column_ == tile_.cols) tile_column_ = 0;
    if (++column_ < columns_) return;
    column_ = tile_column_ = 0;
    if (++tile_row_ == tile_.rows) tile_row_ = 0;
  }

 private:
  Shape tile_;
  std::int64_t columns_, column_ = 0, tile_row_ = 0, tile_column_ = 0;
};

}  // namespace

void compare(CheckResult& result, const OpCase& op_case, const std::string& what, std::span<const float> actual,
             std::int64_t columns, const RefTensor<float>& expected, double inner) {
  double scale = 0;
  for (float v : expected.f)
    if (finite(v)) scale = std::max(scale, std::abs(static_cast<double>(v)));
  const ElementFacts& type = facts_of(expected.shape.dtype);
  const double steady = op_case.absolute + (op_case.relative + inner) * scale + type.finest;
  TileWalk equal(expected.shape, columns);
  for (std::size_t i = 0; i < actual.size(); ++i, equal.advance()) {
    const float a = actual[i], exact = expected.f[equal.index()];
    const float e = std::abs(exact) > type.largest ? std::copysign(INFINITY, exact) : exact;
    const double allowed = steady + (finite(e) ? type.storage_error * std::abs(static_cast<double>(e)) : 0);
    const double error = finite(e) && finite(a)   ? std::abs(static_cast<double>(a) - e) / allowed
                         : finite(e) == finite(a) ? 0.0
                                                  : INFINITY;
    result.worst = std::max(result.worst, error);
    if (error <= 1 || !result.ok) continue;
    result.ok = false;
    const auto cols = static_cast<std::size_t>(columns);
    result.detail = fmt::format("{} at ({}, {}): expected {:.9g}, got {:.9g}, allowed difference {:.2g}", what,
                                i / cols, i % cols, e, a, allowed);
  }
}

void compare_words(CheckResult& result, const std::string& what, std::span<const std::uint32_t> actual,
                   std::int64_t columns, const RefTensor<float>& expected) {
  TileWalk equal(expected.shape, columns);
  for (std::size_t i = 0; i < actual.size() && result.ok; ++i, equal.advance()) {
    const std::uint32_t e = expected.u[equal.index()];
    if (actual[i] == e) continue;
    result.ok = false;
    const auto cols = static_cast<std::size_t>(columns);
    result.detail = fmt::format("{} at ({}, {}): expected {}, got {}", what, i / cols, i % cols, e, actual[i]);
  }
}

void check_padding(CheckResult& result, const std::string& what, const Shape& shape,
                   const std::vector<std::uint32_t>& words) {
  for (std::int64_t row = 0; row < shape.rows && result.ok; ++row)
    for (std::int64_t col = shape.cols; col < shape.ld() && result.ok; ++col) {
      const std::int64_t at = (row * shape.ld() + col) * element_bytes(shape.dtype);
      std::uint32_t bits = 0;  // little-endian, as the device is
      std::memcpy(&bits, reinterpret_cast<const std::byte*>(words.data()) + at,
                  static_cast<std::size_t>(element_bytes(shape.dtype)));
      if (bits == 0) continue;
      result.ok = false;
      result.detail = fmt::format("{}: padding of row {} is 0x{:x}, not zero", what, row, bits);
    }
}

}  // namespace fabula::graph
