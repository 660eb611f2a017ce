#include "base/descriptor_range.hpp"

#include <io.h>

#include <utility>

#include "base/fail.hpp"
#include "base/windows/descriptor.hpp"

namespace fabula {
namespace {

int duplicate(int descriptor, const std::filesystem::path& name) {
  const int own = ::_dup(descriptor);
  if (own < 0) fail(ErrorCode::kInvalidArgument, "{}: {} is no open descriptor", name.string(), descriptor);
  return own;
}

}  // namespace

DescriptorRange::DescriptorRange(int descriptor, std::int64_t offset, std::int64_t bytes,
                                 const std::filesystem::path& name)
    : name_(name), fd_(duplicate(descriptor, name)) {
  LARGE_INTEGER file{};
  const bool is_file = ::GetFileType(handle_of(fd_)) == FILE_TYPE_DISK && ::GetFileSizeEx(handle_of(fd_), &file) != 0;
  const std::int64_t size = is_file ? file.QuadPart : 0;
  if (!is_file || offset < 0 || bytes < -1 || offset > size || bytes > size - offset) {
    ::_close(fd_);
    if (!is_file)
      fail(ErrorCode::kUnsupported,
           "{}: descriptor {} is no file, and a model is read from files alone, which can be read from anywhere; copy "
           "what it gives into a file or into memory",
           name.string(), descriptor);
    fail(ErrorCode::kInvalidArgument, "{}: {} bytes from {} are asked for, descriptor {} is of a file of {}",
         name.string(), bytes, offset, descriptor, size);
  }
  offset_ = static_cast<std::uint64_t>(offset);
  bytes_ = static_cast<std::size_t>(bytes < 0 ? size - offset : bytes);
}

DescriptorRange::~DescriptorRange() {
  if (fd_ >= 0) ::_close(fd_);
}

DescriptorRange::DescriptorRange(DescriptorRange&& other) noexcept
    : name_(std::move(other.name_)), offset_(other.offset_), bytes_(other.bytes_), fd_(std::exchange(other.fd_, -1)) {}

MappedFile DescriptorRange::map() const {
  MappedFile file;
  file.path_ = name_;
  file.map_view(handle_of(fd_), offset_, bytes_);  // a view needs its file no longer
  return file;
}

}  // namespace fabula
