#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fabula::graph {

/// What an element of a value is; 16-bit ones lie two to a word (shaders/include/values.glsl).
enum class DType : std::uint8_t { kF32, kF16, kBF16, kU32 };
constexpr bool is_half(DType dtype) {
  return dtype == DType::kF16 || dtype == DType::kBF16;
}
constexpr bool is_float(DType dtype) {
  return dtype != DType::kU32;
}
constexpr std::int64_t element_bytes(DType dtype) {
  return is_half(dtype) ? 2 : 4;
}
/// What shaders know a type by: 0 for 32-bit types, 1 fp16, 2 bf16.
constexpr std::uint32_t storage_code(DType dtype) {
  return is_half(dtype) ? std::uint32_t(dtype) : 0;
}
std::string_view to_string(DType dtype);
/// A number rounded to a 16-bit type, and what its bits stand for.
std::uint16_t half_bits(DType dtype, float value);
float half_value(DType dtype, std::uint16_t bits);
/// Largest relative error of a number stored in this type, as long as it is neither subnormal nor too large. fp16 has
/// 11 bits and may be truncated by the device's packing instruction, bf16 has 8 and is rounded to nearest.
double storage_error(DType dtype);

/// Every value is a matrix. In device memory a row takes ld() elements, a multiple of 16 bytes; the elements behind the
/// last column are zero, always: every kernel that writes a value writes them so, and every kernel may read them.
struct Shape {
  std::int64_t rows = 1, cols = 1;
  DType dtype = DType::kF32;
  std::int64_t count() const { return rows * cols; }
  std::int64_t ld() const { return is_half(dtype) ? (cols + 7) / 8 * 8 : (cols + 3) / 4 * 4; }
  std::int64_t padded() const { return rows * ld(); }                     ///< elements in device memory
  std::int64_t row_bytes() const { return ld() * element_bytes(dtype); }  ///< from row to row in device memory
  std::int64_t bytes() const { return rows * row_bytes(); }               ///< in device memory
  /// Rows and columns alone: the type of an element is no part of a shape.
  friend bool operator==(const Shape& a, const Shape& b) { return a.rows == b.rows && a.cols == b.cols; }
};
std::string to_string(const Shape& shape);

enum class Role : std::uint8_t {
  kParameter,   ///< trained; lives in the ParameterStore
  kState,       ///< optimizer state or accumulated gradient; lives in the ParameterStore
  kInput,       ///< written by the host before a run
  kActivation,  ///< lives in the arena, for as long as the plan says
};

/// A handle to a value of one graph; a default-constructed one is "absent" (an optional input not given, no gradient).
struct Value {
  std::int32_t id = -1;
  explicit operator bool() const { return id >= 0; }
  auto operator<=>(const Value&) const = default;
};

/// Named numbers of a node. Integers are exact up to 2^53.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string, double>> entries) : entries_(entries) {}
  bool has(std::string_view name) const;
  double get(std::string_view name) const;  ///< throws kInternal when absent
  std::int64_t integer(std::string_view name) const;
  std::int64_t integer_or(std::string_view name, std::int64_t otherwise) const;
  void set(std::string name, double value);
  const std::vector<std::pair<std::string, double>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::string, double>> entries_;
};

}  // namespace fabula::graph
