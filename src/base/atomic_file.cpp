#include "base/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/fail.hpp"

namespace fabula {

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  constexpr int kAttempts = 1000;
  for (int attempt = 0; file_ < 0 && attempt < kAttempts; ++attempt) {
    temporary_ = path;
    temporary_ += fmt::format(".tmp-{}-{}", ::getpid(), attempt);
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file_ < 0 && errno != EEXIST) break;
  }
  if (file_ < 0) fail_io("create");
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  write_at(size_, data, size);
  size_ += size;
}

void AtomicFile::write_at(uint64_t offset, const void* data, size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(file_, next, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_io("write");
    next += written;
    offset += static_cast<uint64_t>(written);
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(file_) != 0) fail_io("flush");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_io("rename");
  ::close(std::exchange(file_, -1));
  // The rename itself is durable once the folder is flushed; a file system that cannot do so loses nothing that was
  // there.
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
}

void AtomicFile::fail_io(std::string_view doing) const {
  const int error = errno;
  fail(ErrorCode::kIo, "cannot {} \"{}\" after {} bytes: {}; what was at \"{}\" is unchanged", doing,
       temporary_.string(), size_, std::strerror(error), path_.string());
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace fabula
