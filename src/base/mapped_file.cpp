#include "base/mapped_file.hpp"

#include <utility>

namespace fabula {

MappedFile::MappedFile(std::span<const std::byte> bytes, const std::filesystem::path& name)
    : path_(name), data_(bytes.data()), size_(bytes.size()) {}

MappedFile::~MappedFile() {
  reset();
}

MappedFile::MappedFile(MappedFile&& other) noexcept {
  *this = std::move(other);
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    reset();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    mapping_ = std::exchange(other.mapping_, nullptr);
    mapped_ = std::exchange(other.mapped_, 0);
    end_ = std::exchange(other.end_, 0);
    fd_ = std::exchange(other.fd_, -1);
    range_ = std::exchange(other.range_, nullptr);
  }
  return *this;
}

}  // namespace fabula
