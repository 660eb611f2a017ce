#include "base/mapped_file.hpp"

#include <limits>

#include "base/fail.hpp"
#include "base/windows/descriptor.hpp"

namespace fabula {

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  map();
}

void MappedFile::map() {
  const Handle file = open_for_reading(path_);
  const std::uint64_t size = size_of(file, path_);
  if (size == 0) return;
  if (size > std::numeric_limits<std::size_t>::max())
    fail(ErrorCode::kIo, "{}: cannot map {} bytes", path_.string(), size);
  const HANDLE section = ::CreateFileMappingW(file.get(), nullptr, PAGE_READONLY, 0, 0, nullptr);
  const void* const address = section != nullptr ? ::MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0) : nullptr;
  const std::error_code code = last_error();
  if (section != nullptr) ::CloseHandle(section);  // the view keeps it
  if (address == nullptr) fail(ErrorCode::kIo, "{}: cannot map {} bytes: {}", path_.string(), size, code.message());
  data_ = static_cast<const std::byte*>(address);
  size_ = static_cast<std::size_t>(size);
}

// Nobody can cut a file that is mapped.
void MappedFile::check() const {}

void MappedFile::reset() noexcept {
  if (data_ != nullptr) ::UnmapViewOfFile(data_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace fabula
