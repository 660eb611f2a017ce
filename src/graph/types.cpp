#include "graph/types.hpp"

#include <cmath>

#include "base/fail.hpp"
#include "base/half.hpp"

namespace fabula::graph {

std::uint16_t half_bits(DType dtype, float value) {
  return dtype == DType::kF16 ? float_to_half(value) : float_to_bf16(value);
}

float half_value(DType dtype, std::uint16_t bits) {
  return dtype == DType::kF16 ? half_to_float(bits) : bf16_to_float(bits);
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}, {}]{}", shape.rows, shape.cols,
                     shape.dtype == DType::kF32 ? "" : fmt::format(" {}", to_string(shape.dtype)));
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kParameter:
      return "parameter";
    case Role::kState:
      return "state";
    case Role::kConstant:
      return "constant";
    case Role::kInput:
      return "input";
    case Role::kActivation:
      return "activation";
  }
  return "";
}

bool Attrs::has(std::string_view name) const {
  for (const auto& [key, value] : entries_)
    if (key == name) return true;
  return false;
}

double Attrs::get(std::string_view name) const {
  for (const auto& [key, value] : entries_)
    if (key == name) return value;
  fail(ErrorCode::kInternal, "attribute \"{}\" is missing", name);
}

std::int64_t Attrs::integer(std::string_view name) const {
  const double value = get(name);
  ensure(value == std::floor(value) && std::abs(value) <= 0x1p53, "attribute \"{}\" is {}, not an integer", name,
         value);
  return static_cast<std::int64_t>(value);
}

std::int64_t Attrs::integer_or(std::string_view name, std::int64_t otherwise) const {
  return has(name) ? integer(name) : otherwise;
}

void Attrs::set(std::string name, double value) {
  for (auto& entry : entries_) {
    if (entry.first == name) {
      entry.second = value;
      return;
    }
  }
  entries_.emplace_back(std::move(name), value);
}

}  // namespace fabula::graph
