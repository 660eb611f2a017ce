#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>

#include "api/call.hpp"

// Structs that begin with their size, as the caller was compiled: shorter and longer ones than the library's.
namespace fabula::api {

inline constexpr std::size_t kMostStructBytes = 1 << 16;  ///< what is larger has no size at its beginning

template <class T>
std::size_t checked_size(const T& given, std::string_view name) {
  if (given.size < sizeof(std::size_t) || given.size > kMostStructBytes)
    refuse(FABULA_INVALID_ARGUMENT, "{} says that it has {} bytes; set its size to sizeof({})", name, given.size, name);
  return given.size;
}

/// Options as the library knows them: what a shorter struct lacks keeps its default. Throws StatusError: invalid for a
/// size that is none, unsupported where a longer one sets what the library does not know.
template <class T>
T options_or(const T* given, const T& defaults, std::string_view name) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (given == nullptr) return defaults;
  const std::size_t size = checked_size(*given, name);
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  if (size > sizeof(T) && std::any_of(bytes + sizeof(T), bytes + size, [](unsigned char byte) { return byte != 0; }))
    refuse(FABULA_UNSUPPORTED,
           "{} sets something that this library does not know: it has {} bytes, the library's {}; install the library "
           "that belongs to the program's header",
           name, size, sizeof(T));
  T options = defaults;
  std::memcpy(&options, given, std::min(size, sizeof(T)));
  options.size = sizeof(T);
  return options;
}

/// What a later version may give a meaning.
inline void unused(std::int32_t reserved, std::string_view name) {
  if (reserved != 0)
    refuse(FABULA_UNSUPPORTED, "{} sets reserved to {}, which must be 0: begin with its defaults", name, reserved);
}

/// Fills as much of a struct as its size says; what is beyond the library's own is left as it is.
template <class T>
void fill(T* to, T value, std::string_view name) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (to == nullptr) refuse(FABULA_INVALID_ARGUMENT, "there is no {} to fill: the pointer is NULL", name);
  value.size = checked_size(*to, name);
  std::memcpy(to, &value, std::min(value.size, sizeof(T)));
}

inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

template <class T>
T& required(T* pointer, std::string_view what) {
  if (pointer == nullptr) refuse(FABULA_INVALID_ARGUMENT, "{} is NULL", what);
  return *pointer;
}

inline std::span<const std::uint32_t> list_of(const std::uint32_t* ids, std::size_t count) {
  if (count > 0) required(ids, "the list of tokens");
  return {ids, count};
}

}  // namespace fabula::api
