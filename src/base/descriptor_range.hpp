#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "base/mapped_file.hpp"

namespace fabula {

/// A part of a file that somebody else has opened. Keeps a descriptor of its own.
class DescriptorRange {
 public:
  /// Bytes [offset, offset + bytes) of a descriptor's file, up to its end where `bytes` is -1; `name` is what messages
  /// call them. Throws kInvalidArgument for what is no descriptor or no part of its file, kUnsupported for a pipe and
  /// whatever else is no file, kIo.
  DescriptorRange(int descriptor, std::int64_t offset, std::int64_t bytes, const std::filesystem::path& name);
  ~DescriptorRange();
  DescriptorRange(DescriptorRange&& other) noexcept;
  DescriptorRange& operator=(DescriptorRange&&) = delete;
  DescriptorRange(const DescriptorRange&) = delete;

  MappedFile map() const;

 private:
  std::filesystem::path name_;
  std::uint64_t offset_ = 0;
  std::size_t bytes_ = 0;
  int fd_ = -1;
};

}  // namespace fabula
