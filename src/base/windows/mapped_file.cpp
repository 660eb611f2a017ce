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
  map_view(file.get(), 0, size_of(file, path_));
}

void MappedFile::map_view(void* file, std::uint64_t offset, std::uint64_t size) {
  if (size == 0) return;
  SYSTEM_INFO system{};
  ::GetSystemInfo(&system);
  const std::uint64_t begin = offset / system.dwAllocationGranularity * system.dwAllocationGranularity;
  const std::uint64_t bytes = offset - begin + size;
  if (bytes > std::numeric_limits<std::size_t>::max())
    fail(ErrorCode::kIo, "{}: cannot map {} bytes", path_.string(), bytes);
  const HANDLE section = ::CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
  const void* const address = section == nullptr
                                  ? nullptr
                                  : ::MapViewOfFile(section, FILE_MAP_READ, static_cast<DWORD>(begin >> 32),
                                                    static_cast<DWORD>(begin), static_cast<SIZE_T>(bytes));
  const std::error_code code = last_error();
  if (section != nullptr) ::CloseHandle(section);  // the view keeps it
  if (address == nullptr) fail(ErrorCode::kIo, "{}: cannot map {} bytes: {}", path_.string(), size, code.message());
  mapping_ = static_cast<const std::byte*>(address);
  mapped_ = static_cast<std::size_t>(bytes);
  data_ = mapping_ + (offset - begin);
  size_ = static_cast<std::size_t>(size);
}

// Nobody can cut a file that is mapped.
void MappedFile::check() const {}

void MappedFile::reset() noexcept {
  if (mapping_ != nullptr) ::UnmapViewOfFile(mapping_);
  mapping_ = data_ = nullptr;
  size_ = 0;
}

}  // namespace fabula
