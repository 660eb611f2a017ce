#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace fabula {

/// Default cap of read_file: enough for any config or tokenizer, small enough for a phone.
inline constexpr std::uint64_t kDefaultReadLimit = 256ull << 20;

/// The whole file as bytes in a string. Errors: kNotFound, kIo, kFormat when it is a folder, a pipe or a device, or
/// larger than limit_bytes. Pipes that are given to the process as its descriptors (/dev/stdin, /dev/fd/63 of a shell's
/// `<(...)`; on Windows /dev/stdin alone) are read to their end; one of another name is refused without waiting for a
/// writer.
std::string read_file(const std::filesystem::path& path, std::uint64_t limit_bytes = kDefaultReadLimit);

/// Is it a pipe or the like (/dev/stdin), which can be read once and not mapped?
bool is_pipe(const std::filesystem::path& path);

/// Creates the folder and its parents when missing. Error kIo when that fails or a file stands in the way.
void ensure_directory(const std::filesystem::path& path);

/// A fresh folder below `parent` that its owner alone may look into, its name begun by `stem`. Error kIo.
std::filesystem::path make_private_folder(const std::filesystem::path& parent, std::string_view stem);

/// Renames a file or a folder; a file that has the name `to` is replaced as one step. Windows refuses that while a
/// program without FILE_SHARE_DELETE has it open, or any has it mapped.
std::error_code put_in_place(const std::filesystem::path& from, const std::filesystem::path& to);

/// Bytes a user may still write to the file system that holds path (or its nearest existing parent).
std::uint64_t free_space(const std::filesystem::path& path);

/// Flushes a folder's entries (created, renamed, removed names) to the disk. Error kIo.
void sync_directory(const std::filesystem::path& path);

/// Flushes a file that is written already; `asked_for` is what messages call it. Error kIo.
void sync_file(const std::filesystem::path& path, const std::filesystem::path& asked_for);

/// An owned file descriptor open for writing. Every failure (full disk, file-size limit, quota) is Error kIo with the
/// system's reason, the path and the bytes wanted; SIGXFSZ never reaches the process. Others may read, rename and
/// remove the file meanwhile.
class OutputFile {
 public:
  enum class Mode {
    kCreate,  ///< new or emptied
    kNew,     ///< an error where something has the name already, a link too
    kAppend,  ///< created when missing, writes go to the end
  };
  /// Tells other processes that the file is in use (is_in_use), also when it is closed already.
  class InUse {
   public:
    explicit InUse(const OutputFile& file);
    ~InUse();
    InUse(const InUse&) = delete;
    InUse& operator=(const InUse&) = delete;

   private:
    int fd_ = -1;
  };

  /// `asked_for` is the file that messages name; missing: path. A pipe is refused without waiting for its reader.
  OutputFile(const std::filesystem::path& path, Mode mode, const std::filesystem::path& asked_for = {});
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Writes all bytes at the current end, without a buffer of its own.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Overwrites bytes at an offset from the start; write() continues where it was. Not for kAppend.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Cuts or extends the file to a size.
  void truncate(std::uint64_t size);
  /// Sets who may read, write and execute it, where the file system knows such things.
  void set_permissions(std::filesystem::perms permissions) noexcept;
  /// Flushes contents to the disk.
  void sync();
  /// Closes and reports what close() says (a network file system may only then say that the disk is full).
  void close();

  /// What messages call it.
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

/// Whether a process that lives holds an OutputFile::InUse of the file, or it cannot be told.
bool is_in_use(const std::filesystem::path& path);

/// Holds an exclusive lock for its lifetime; the system drops it when the process ends in any way.
class FileLock {
 public:
  /// Creates the lock file when missing. Error kInvalidArgument when another process holds it ("{what} is in use by
  /// process N"), and where the name is a link: what it leads to would be emptied.
  FileLock(const std::filesystem::path& path, std::string_view what);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  FileLock(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace fabula
