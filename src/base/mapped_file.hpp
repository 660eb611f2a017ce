#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace fabula {

/// A whole file mapped for reading. Moves, does not copy; the mapping ends with the object.
/// The file may be renamed over or removed meanwhile (the old content stays visible); truncating it in place is not
/// survivable.
class MappedFile {
 public:
  MappedFile() = default;
  /// Maps the file. An empty file gives an empty span. Errors: kNotFound, kIo (with the system's reason), kFormat for a
  /// non-file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  std::size_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  void reset() noexcept;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace fabula
