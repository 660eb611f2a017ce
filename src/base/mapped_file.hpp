#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fabula {

struct MappedRange;

/// A whole file mapped for reading. Moves, does not copy; the mapping ends with the object.
/// The file may be renamed over or removed meanwhile: the old content stays visible. Of one that is cut short in place
/// the part that is gone reads as zeros, and check() fails from then on: whoever has read calls it before the result
/// counts. Windows lets nobody replace, remove or cut a file that is mapped.
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

  /// Error kIo when the file was cut short since it was mapped: some of what was read may be zeros instead.
  void check() const;
  /// What read() returns or throws, unless the file was cut short: then that is the error.
  template <class Read>
  auto checked(Read&& read) const {
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<Read>>) {
        std::forward<Read>(read)();
        check();
      } else {
        auto result = std::forward<Read>(read)();
        check();
        return result;
      }
    } catch (...) {
      check();
      throw;
    }
  }

 private:
  void map();
  void reset() noexcept;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  int fd_ = -1;                   // kept open to ask for the size, where that may change
  MappedRange* range_ = nullptr;  // as well
};

}  // namespace fabula
