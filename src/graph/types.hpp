#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fabula::graph {

/// Every value is a matrix. In device memory a row takes ld() words, a multiple of 4 (16 bytes); the words behind the
/// last column are zero, always: every kernel that writes a value writes them so, and every kernel may read them.
struct Shape {
  std::int64_t rows = 1, cols = 1;
  std::int64_t count() const { return rows * cols; }
  std::int64_t ld() const { return (cols + 3) / 4 * 4; }
  std::int64_t padded() const { return rows * ld(); }  ///< words in device memory
  std::int64_t bytes() const { return padded() * 4; }  ///< bytes in device memory
  auto operator<=>(const Shape&) const = default;
};
std::string to_string(const Shape& shape);

enum class DType : std::uint8_t { kF32, kU32 };

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
