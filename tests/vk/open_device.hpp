#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "expect_error.hpp"
#include "temp_dir.hpp"
#include "vk/device.hpp"

namespace fabula::vk {

/// The options that this test process was started with (--device, --limits); no pipeline cache on disk.
DeviceOptions& base_options();

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

inline BufferRange range_of(const Buffer& buffer, std::uint64_t bytes, std::uint64_t offset = 0) {
  return {&buffer, offset, bytes};
}

/// The push constants of test_copy.
struct CopyPush {
  float factor, bias;
  std::uint32_t count;
};

/// values[i] = values[i] * 3 + 1 over `count` words at `offset` bytes.
inline DispatchCall add_call(Device& device, const Buffer& values, std::uint32_t count, std::uint64_t offset = 0) {
  return {device.pipeline({"test_add", {}}),
          {range_of(values, count * 4ull, offset)},
          push_of(count),
          {groups_for(count, 64), 1, 1},
          "test_add"};
}

inline std::uint32_t add_times(std::uint32_t value, int times) {
  for (int i = 0; i < times; ++i) value = value * 3 + 1;
  return value;
}

/// Opens the device with its limits lowered further by a JSON text.
inline std::unique_ptr<Device> open_lowered(const std::string& json, DeviceOptions options = base_options()) {
  const test::TempDir dir;
  const std::string path = (dir / "limits.json").string();
  std::ofstream(path) << json;
  options.limits = path;
  return Device::open(options);
}

}  // namespace fabula::vk
