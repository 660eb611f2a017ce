#include "base/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/fail.hpp"

namespace fabula {

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int code = errno;
    fail(code == ENOENT || code == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo, "{}: cannot open for reading: {}",
         path.string(), std::generic_category().message(code));
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    const int code = errno;
    ::close(fd);
    fail(ErrorCode::kIo, "{}: cannot read its size: {}", path.string(), std::generic_category().message(code));
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(fd);
    fail(ErrorCode::kFormat, "{}: expected a file, found a {}", path.string(),
         S_ISDIR(info.st_mode) ? "folder" : "special file");
  }
  size_ = static_cast<std::size_t>(info.st_size);
  void* address = size_ > 0 ? ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0) : nullptr;
  const int code = errno;
  ::close(fd);
  if (address == MAP_FAILED) {
    fail(ErrorCode::kIo, "{}: cannot map {} bytes: {}", path.string(), size_, std::generic_category().message(code));
  }
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  reset();
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    reset();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void MappedFile::reset() noexcept {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace fabula
