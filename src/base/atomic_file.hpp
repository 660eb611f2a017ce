#pragma once
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace fabula {

/// A file that appears whole or not at all: written under a temporary name beside its place, flushed to disk, then
/// renamed. Without commit() the temporary file is removed and whatever was at the path stays. Every failure throws
/// kIo.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends bytes.
  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Overwrites bytes already written, at a byte offset; the place of the next write() stays.
  void write_at(uint64_t offset, const void* data, size_t size);
  /// Flushes and renames; nothing may be written afterwards.
  void commit();

 private:
  [[noreturn]] void fail_io(std::string_view doing) const;

  std::filesystem::path path_, temporary_;
  int file_ = -1;
  uint64_t size_ = 0;
};

/// Writes a whole text file atomically.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace fabula
