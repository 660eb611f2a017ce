#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/file_io.hpp"
#include "base/removal_list.hpp"

namespace fabula {

/// The file that a path names once links are followed. Error where AtomicFile could not or must not write it: kIo
/// without its folder, and where a folder, a device or a pipe has the name; kInvalidArgument where it is one of
/// `inputs`. Asked before costly work, so that the work is not lost.
std::filesystem::path checked_target(const std::filesystem::path& path,
                                     std::span<const std::filesystem::path> inputs = {});

/// A file that appears whole or not at all: bytes go to a temporary file in the same folder; commit() flushes it to
/// disk and renames it over the target. Without commit() (an exception, a crash) whatever was at the path stays; the
/// destructor removes the temporary file, and so does a signal that ends the program (prepare_process).
/// Every failure throws kIo with the path asked for, the bytes wanted and the system's reason. A link stays one: what
/// it points to is replaced. The mode of a file that is replaced stays.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends; small writes are gathered in a buffer, so that a failure may show at a later write or at commit().
  void write(std::span<const std::byte> bytes);
  void write(const void* data, std::size_t size) { write({static_cast<const std::byte*>(data), size}); }
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Overwrites bytes already written, a count in a header say; the place of the next write() stays.
  void write_at(std::uint64_t offset, const void* data, std::size_t size);
  /// Flush, rename, flush the folder. After this the new content is the file, whatever happens; nothing may be written
  /// afterwards.
  void commit();

  /// Bytes appended so far.
  std::uint64_t size() const { return size_; }

 private:
  void flush();

  std::filesystem::path asked_for_;  // as messages call it
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  RemovedOnSignal removed_on_signal_;
  OutputFile file_;
  std::optional<OutputFile::InUse> in_use_;  // until it is in place
  std::vector<std::byte> buffer_;
  std::uint64_t size_ = 0;
  bool done_ = false;
};

/// Removes the temporary files that processes which are gone have left in a folder (one ended by SIGKILL, say), and
/// returns how many. Those that a process still writes are locked by it, and stay; so does what cannot be removed.
std::size_t remove_litter(const std::filesystem::path& folder);

/// Writes a whole file as one step.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

}  // namespace fabula
