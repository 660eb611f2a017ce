#include "base/descriptor_range.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/fail.hpp"
#include "base/file_errors.hpp"

namespace fabula {
namespace {

const char* kind_of_file(mode_t mode) {
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISDIR(mode)) return "a folder";
  return "a special file";
}

int duplicate(int descriptor, const std::filesystem::path& name) {
  const int own = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (own < 0 && errno == EBADF)
    fail(ErrorCode::kInvalidArgument, "{}: {} is no open descriptor", name.string(), descriptor);
  if (own < 0)
    fail(ErrorCode::kIo, "{}: descriptor {} cannot be duplicated: {}", name.string(), descriptor,
         system_reason(errno));
  return own;
}

}  // namespace

DescriptorRange::DescriptorRange(int descriptor, std::int64_t offset, std::int64_t bytes,
                                 const std::filesystem::path& name)
    : name_(name) {
  struct stat info {};
  if (::fstat(descriptor, &info) == 0 && !S_ISREG(info.st_mode))
    fail(ErrorCode::kUnsupported,
         "{}: descriptor {} is {}, and a model is read from files alone, which can be read from anywhere; copy what it "
         "gives into a file or into memory",
         name.string(), descriptor, kind_of_file(info.st_mode));
  const auto size = static_cast<std::int64_t>(info.st_size);
  fd_ = duplicate(descriptor, name);
  if (offset < 0 || bytes < -1 || offset > size || bytes > size - offset) {
    ::close(fd_);
    fail(ErrorCode::kInvalidArgument, "{}: {} bytes from {} are asked for, descriptor {} is of a file of {}",
         name.string(), bytes, offset, descriptor, size);
  }
  offset_ = static_cast<std::uint64_t>(offset);
  bytes_ = static_cast<std::size_t>(bytes < 0 ? size - offset : bytes);
}

DescriptorRange::~DescriptorRange() {
  if (fd_ >= 0) ::close(fd_);
}

DescriptorRange::DescriptorRange(DescriptorRange&& other) noexcept
    : name_(std::move(other.name_)),
      offset_(other.offset_),
      bytes_(other.bytes_),
      fd_(std::exchange(other.fd_, -1)) {}

MappedFile DescriptorRange::map() const {
  MappedFile file;
  file.path_ = name_;
  file.fd_ = duplicate(fd_, name_);
  file.map(offset_, bytes_);
  return file;
}

}  // namespace fabula
