#include "base/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/fail.hpp"
#include "base/file_errors.hpp"
#include "base/posix/mapped_range.hpp"

namespace fabula {

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);  // never waits for a pipe's writer
  if (fd_ < 0) {
    const int code = errno;
    if (code == ENXIO) fail(ErrorCode::kFormat, "{}: expected a file, found a special file", path.string());
    fail(code == ENOENT || code == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo, "{}: cannot open for reading: {}",
         path.string(), system_reason(code));
  }
  try {
    map();
  } catch (...) {
    reset();
    throw;
  }
}

void MappedFile::map() {
  struct stat info {};
  if (::fstat(fd_, &info) != 0)
    fail(ErrorCode::kIo, "{}: cannot read its size: {}", path_.string(), system_reason(errno));
  if (!S_ISREG(info.st_mode)) {
    fail(ErrorCode::kFormat, "{}: expected a file, found a {}", path_.string(),
         S_ISDIR(info.st_mode) ? "folder" : "special file");
  }
  if (info.st_size == 0) return;
  const auto size = static_cast<std::size_t>(info.st_size);
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd_, 0);
  if (address == MAP_FAILED) {
    fail(ErrorCode::kIo, "{}: cannot map {} bytes: {}", path_.string(), size, system_reason(errno));
  }
  data_ = static_cast<const std::byte*>(address);
  size_ = size;
  range_ = guard_range(data_, size_);
}

void MappedFile::check() const {
  if (range_ == nullptr) return;
  struct stat info {};
  const bool shorter = ::fstat(fd_, &info) == 0 && static_cast<std::size_t>(info.st_size) < size_;
  if (!shorter && !was_cut(range_)) return;
  fail(ErrorCode::kIo,
       "{}: was cut short while it was read: it had {} bytes and has {} now; let nothing write to it meanwhile, and "
       "start again",
       path_.string(), size_, info.st_size);
}

void MappedFile::reset() noexcept {
  if (range_ != nullptr) end_guard(std::exchange(range_, nullptr));
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(std::exchange(data_, nullptr)), std::exchange(size_, 0));
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace fabula
