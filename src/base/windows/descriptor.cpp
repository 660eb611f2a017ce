#include "base/windows/descriptor.hpp"

#include <io.h>

#include <cstring>
#include <vector>

#include "base/fail.hpp"

// Of Windows 10 1607, https://learn.microsoft.com/windows/win32/api/winbase/ns-winbase-file_rename_info; mingw-w64 10
// names neither.
namespace fabula {
namespace {

namespace fs = std::filesystem;

constexpr auto kRenameInfoEx = static_cast<FILE_INFO_BY_HANDLE_CLASS>(22);
constexpr DWORD kReplaceIfExists = 1, kPosixSemantics = 2;

struct RenameInfo {
  DWORD flags;
  HANDLE root;
  DWORD name_bytes;
  wchar_t name[1];
};

// The name goes at once, whoever has the replaced file open; that program goes on with the old one.
bool rename_as_posix_does(const fs::path& from, const fs::path& to) {
  std::error_code code;
  const std::wstring target = fs::absolute(to, code).make_preferred().native();
  const Handle file(::CreateFileW(from.c_str(), DELETE | SYNCHRONIZE, kShareAll, nullptr, OPEN_EXISTING,
                                  FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, nullptr));
  if (code || !file.valid()) return false;
  std::vector<std::byte> bytes(offsetof(RenameInfo, name) + (target.size() + 1) * sizeof(wchar_t));
  RenameInfo info{};
  info.flags = kReplaceIfExists | kPosixSemantics;
  info.name_bytes = static_cast<DWORD>(target.size() * sizeof(wchar_t));
  std::memcpy(bytes.data(), &info, offsetof(RenameInfo, name));
  std::memcpy(bytes.data() + offsetof(RenameInfo, name), target.c_str(), (target.size() + 1) * sizeof(wchar_t));
  return ::SetFileInformationByHandle(file.get(), kRenameInfoEx, bytes.data(), static_cast<DWORD>(bytes.size())) != 0;
}

}  // namespace

HANDLE handle_of(int descriptor) {
  return reinterpret_cast<HANDLE>(::_get_osfhandle(descriptor));
}

int descriptor_of(Handle& handle, int flags) {
  const int descriptor = ::_open_osfhandle(reinterpret_cast<std::intptr_t>(handle.get()), flags);
  if (descriptor < 0) fail(ErrorCode::kIo, "too many files are open");
  handle.release();
  return descriptor;
}

Handle open_for_reading(const fs::path& path) {
  Handle file(::CreateFileW(path.c_str(), GENERIC_READ, kShareAll, nullptr, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS,
                            nullptr));
  if (!file.valid()) {
    const std::error_code code = last_error();
    fail(code == std::errc::no_such_file_or_directory ? ErrorCode::kNotFound : ErrorCode::kIo,
         "{}: cannot open for reading: {}", path.string(), code.message());
  }
  BY_HANDLE_FILE_INFORMATION info{};
  const bool known = ::GetFileInformationByHandle(file.get(), &info) != 0;
  const bool folder = known && (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
  if (folder || ::GetFileType(file.get()) != FILE_TYPE_DISK)
    fail(ErrorCode::kFormat, "{}: expected a file, found a {}", path.string(), folder ? "folder" : "special file");
  return Handle(file.release());
}

std::uint64_t size_of(const Handle& file, const fs::path& path) {
  LARGE_INTEGER size{};
  if (!::GetFileSizeEx(file.get(), &size))
    fail(ErrorCode::kIo, "{}: cannot read its size: {}", path.string(), last_error().message());
  return static_cast<std::uint64_t>(size.QuadPart);
}

bool rename_replacing(const fs::path& from, const fs::path& to) {
  return rename_as_posix_does(from, to) ||
         ::MoveFileExW(from.c_str(), to.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) != 0;
}

bool lock_for_itself(HANDLE file) {
  OVERLAPPED place{};
  place.Offset = 0;
  place.OffsetHigh = 0x7FFFFFFF;
  return ::LockFileEx(file, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &place) != 0;
}

}  // namespace fabula
