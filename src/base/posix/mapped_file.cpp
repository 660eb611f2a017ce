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
  map(0, static_cast<std::size_t>(info.st_size));
}

void MappedFile::map(std::uint64_t offset, std::size_t size) {
  if (size == 0) return;
  const auto inside = static_cast<std::size_t>(offset % static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  void* const address =
      ::mmap(nullptr, inside + size, PROT_READ, MAP_PRIVATE, fd_, static_cast<off_t>(offset - inside));
  if (address == MAP_FAILED) {
    fail(ErrorCode::kIo, "{}: cannot map {} bytes: {}", path_.string(), size, system_reason(errno));
  }
  mapping_ = static_cast<const std::byte*>(address);
  mapped_ = inside + size;
  data_ = mapping_ + inside;
  size_ = size;
  end_ = offset + size;
  range_ = guard_range(mapping_, mapped_);
}

void MappedFile::check() const {
  if (range_ == nullptr) return;
  struct stat info {};
  const bool shorter = ::fstat(fd_, &info) == 0 && static_cast<std::uint64_t>(info.st_size) < end_;
  if (!shorter && !was_cut(range_)) return;
  fail(ErrorCode::kIo,
       "{}: was cut short while it was read: it had {} bytes and has {} now; let nothing write to it meanwhile, and "
       "start again",
       path_.string(), end_, info.st_size);
}

void MappedFile::reset() noexcept {
  if (range_ != nullptr) end_guard(std::exchange(range_, nullptr));
  if (mapping_ != nullptr)
    ::munmap(const_cast<std::byte*>(std::exchange(mapping_, nullptr)), std::exchange(mapped_, 0));
  data_ = nullptr;
  size_ = 0;
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace fabula
