#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fabula::graph {

/// What an element of a value is.
enum class DType : std::uint8_t { kF32, kF16, kBF16, kU32, kI8, kU4 };

/// What holds of a type of elements.
struct ElementFacts {
  std::string_view name;
  std::int64_t bits = 32;
  std::uint32_t code = 0;  ///< what shaders know it by (shaders/include/values.glsl); all 32-bit types are 0
  bool is_float = false;
  /// Largest relative error of a number stored in this type, as long as it is neither subnormal nor too large. fp16 has
  /// 11 bits and may be truncated by the device's packing instruction, bf16 has 8 and is rounded to nearest.
  double storage_error = 0;
  double largest = 0;  ///< of a float: its largest finite number
  double finest = 0;   ///< distance of subnormal numbers, where it is large enough to count beside rounding in fp32
};
/// By DType.
inline constexpr std::array<ElementFacts, 6> kElementFacts{{
    {.name = "fp32", .is_float = true, .largest = 0x1.FFFFFEp127},
    {.name = "fp16",
     .bits = 16,
     .code = 1,
     .is_float = true,
     .storage_error = 0x1p-10,
     .largest = 65504,
     .finest = 0x1p-24},
    {.name = "bf16", .bits = 16, .code = 2, .is_float = true, .storage_error = 0x1p-8, .largest = 0x1.FEp127},
    {.name = "u32"},
    {.name = "i8", .bits = 8, .code = 3},
    {.name = "u4", .bits = 4, .code = 4},  // unsigned, two to a byte, the first in its lower half
}};
constexpr const ElementFacts& facts_of(DType dtype) {
  return kElementFacts[static_cast<std::size_t>(dtype)];
}
constexpr bool is_float(DType dtype) {
  return facts_of(dtype).is_float;
}
/// A float of 16 bits: two lie in a word.
constexpr bool is_half(DType dtype) {
  return facts_of(dtype).is_float && facts_of(dtype).bits == 16;
}
constexpr std::int64_t element_bits(DType dtype) {
  return facts_of(dtype).bits;
}
/// Of a type whose elements are whole bytes.
constexpr std::int64_t element_bytes(DType dtype) {
  return facts_of(dtype).bits / 8;
}
/// A whole number of few bits, which means something with the scale of its group alone (ops/stored_table.hpp).
constexpr bool is_scaled(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kU4;
}
constexpr std::uint32_t storage_code(DType dtype) {
  return facts_of(dtype).code;
}
constexpr double storage_error(DType dtype) {
  return facts_of(dtype).storage_error;
}
constexpr std::string_view to_string(DType dtype) {
  return facts_of(dtype).name;
}
/// A number rounded to a 16-bit type, and what its bits stand for.
std::uint16_t half_bits(DType dtype, float value);
float half_value(DType dtype, std::uint16_t bits);

/// What a row's bytes are a multiple of: kernels read 16 bytes at once.
inline constexpr std::int64_t kRowAlignment = 16;

/// Every value is a matrix. In device memory a row takes ld() elements, a multiple of 16 bytes; the elements behind the
/// last column are zero, always: every kernel that writes a value writes them so, and every kernel may read them.
struct Shape {
  std::int64_t rows = 1, cols = 1;
  DType dtype = DType::kF32;
  std::int64_t count() const { return rows * cols; }
  std::int64_t ld() const {
    const std::int64_t step = 8 * kRowAlignment / element_bits(dtype);
    return (cols + step - 1) / step * step;
  }
  std::int64_t padded() const { return rows * ld(); }                        ///< elements in device memory
  std::int64_t row_bytes() const { return ld() * element_bits(dtype) / 8; }  ///< from row to row in device memory
  /// Of a row's elements without what lies behind the last one.
  std::int64_t dense_row_bytes() const { return (cols * element_bits(dtype) + 7) / 8; }
  std::int64_t bytes() const { return rows * row_bytes(); }  ///< in device memory
  /// Rows and columns alone: the type of an element is no part of a shape.
  friend bool operator==(const Shape& a, const Shape& b) { return a.rows == b.rows && a.cols == b.cols; }
};
std::string to_string(const Shape& shape);

enum class Role : std::uint8_t {
  kParameter,   ///< trained; lives in the store
  kState,       ///< optimizer state or accumulated gradient; lives in the store
  kConstant,    ///< given once by the host and never written; lives in the store
  kInput,       ///< written by the host before a run
  kActivation,  ///< lives in the arena, for as long as the plan says
};
std::string_view to_string(Role role);

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
