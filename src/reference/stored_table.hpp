#pragma once
#include "graph/reference.hpp"

namespace fabula::reference {

/// An element of a table as models store one: a float, or a signed byte times the scale of its block of 32.
template <class T>
double stored_entry(const graph::RefTensor<T>& table, const graph::RefTensor<T>* scales, std::int64_t row,
                    std::int64_t col) {
  if (table.shape.dtype != graph::DType::kI8) return static_cast<double>(table.at(row, col));
  const auto byte = static_cast<std::int32_t>(table.u[static_cast<std::size_t>(row * table.shape.cols + col)]);
  return byte * static_cast<double>(scales->at(row, col / 32));
}

}  // namespace fabula::reference
