#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fabula {

struct MappedRange;

/// A file mapped for reading, whole unless it comes from a DescriptorRange; or bytes that lie in memory already. Moves,
/// does not copy; the mapping ends with the object.
/// The file may be renamed over or removed meanwhile: the old content stays visible. Of one that is cut short in place
/// the part that is gone reads as zeros, and check() fails from then on: whoever has read calls it before the result
/// counts. Windows lets nobody replace, remove or cut a file that is mapped.
class MappedFile {
 public:
  MappedFile() = default;
  /// Maps the file. An empty file gives an empty span. Errors: kNotFound, kIo (with the system's reason), kFormat for a
  /// non-file.
  explicit MappedFile(const std::filesystem::path& path);
  /// Bytes that must outlive it; `name` is what messages call them.
  MappedFile(std::span<const std::byte> bytes, const std::filesystem::path& name);
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
  friend class DescriptorRange;
  void map();
  /// Bytes [offset, offset + size) of fd_.
  void map(std::uint64_t offset, std::size_t size);
  void map_view(void* file, std::uint64_t offset, std::uint64_t size);  // of a handle of Windows
  void reset() noexcept;

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  const std::byte* mapping_ = nullptr;  // of whole pages; null: nothing is mapped
  std::size_t mapped_ = 0;
  std::uint64_t end_ = 0;         // in the file
  int fd_ = -1;                   // kept open to ask for the size, where that may change
  MappedRange* range_ = nullptr;  // as well
};

}  // namespace fabula
