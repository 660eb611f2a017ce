#pragma once
#include <cstdint>

#include "base/philox.hpp"
#include "graph/reference.hpp"

namespace fabula::reference {

/// An element of a table as models store one: a float, or a whole number q of few bits with the scale d of its group of
/// 32. A signed byte stands for d q, four bits for d (q - 8), or where scales have offsets m between them for d q + m.
template <class T>
double stored_entry(const graph::RefTensor<T>& table, const graph::RefTensor<T>* scales, std::int64_t row,
                    std::int64_t col) {
  if (!graph::is_scaled(table.shape.dtype)) return static_cast<double>(table.at(row, col));
  const std::uint32_t word = table.u[static_cast<std::size_t>(row * table.shape.cols + col)];
  const std::int64_t group = col / 32, groups = (table.shape.cols + 31) / 32;
  if (table.shape.dtype == graph::DType::kI8)
    return static_cast<std::int32_t>(word) * static_cast<double>(scales->at(row, group));
  if (scales->shape.cols == groups) return (double(word) - 8) * static_cast<double>(scales->at(row, group));
  return double(word) * static_cast<double>(scales->at(row, 2 * group)) +
         static_cast<double>(scales->at(row, 2 * group + 1));
}

/// How a case's table is stored: `offsets` only of four bits.
struct StoredAs {
  graph::DType dtype = graph::DType::kF32;
  bool offsets = false;

  StoredAs(graph::DType type = graph::DType::kF32, bool with = false) : dtype(type), offsets(with) {}  // NOLINT
  bool scaled() const { return graph::is_scaled(dtype); }
};

/// The table's scales as a case's input.
inline graph::OpCase::Input scales_input(const graph::Shape& table, const StoredAs& stored) {
  return {.shape = {table.rows, (table.cols + 31) / 32 * (stored.offsets ? 2 : 1)},
          .dtype = graph::DType::kF16,
          .present = stored.scaled()};
}

/// Draws the whole numbers of a table, and scales (and offsets) that make them about 1.
inline void fill_stored_table(graph::RefTensor<double>& table, graph::RefTensor<double>& scales, Philox& random) {
  const bool nibbles = table.shape.dtype == graph::DType::kU4;
  for (auto& word : table.u) word = nibbles ? random.below(16) : random.below(255) - 127;  // sign-extended
  const bool offsets = nibbles && scales.shape.cols > (table.shape.cols + 31) / 32;
  for (std::size_t i = 0; i < scales.f.size(); ++i)
    scales.f[i] = offsets && i % 2 == 1 ? -1 + 0.3 * scales.f[i] : (1 + 0.3 * scales.f[i]) / (nibbles ? 8 : 127);
}

}  // namespace fabula::reference
