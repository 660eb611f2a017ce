#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vk/device.hpp"

namespace fabula::vk {

/// Options for tests: no pipeline cache on disk; FABULA_TEST_LIMITS names the limits profile to run under.
inline DeviceOptions test_options() {
  DeviceOptions options;
  options.cache_dir = "none";
  if (const char* limits = std::getenv("FABULA_TEST_LIMITS")) options.limits = limits;
  return options;
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

template <class T>
Buffer upload_new(Device& device, const std::vector<T>& values, const std::string& what) {
  Buffer buffer = device.allocate(values.size() * sizeof(T), MemoryUse::kDevice, what);
  device.upload(buffer, 0, bytes_of(values));
  return buffer;
}

template <class T>
std::vector<T> download_all(Device& device, const Buffer& buffer, std::size_t count) {
  std::vector<T> values(count);
  device.download(buffer, 0, std::as_writable_bytes(std::span<T>(values)));
  return values;
}

template <class T>
std::vector<std::byte> push_of(const T& value) {
  std::vector<std::byte> bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

inline std::uint32_t groups_for(std::size_t count, std::size_t size) {
  return static_cast<std::uint32_t>((count + size - 1) / size);
}

/// A whole buffer as a binding of `bytes`.
inline BufferRange range_of(const Buffer& buffer, std::uint64_t bytes, std::uint64_t offset = 0) {
  return {&buffer, offset, bytes};
}

}  // namespace fabula::vk
