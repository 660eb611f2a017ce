#include "base/file_io.hpp"

#include <fcntl.h>
#include <io.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <utility>

#include "base/fail.hpp"
#include "base/file_errors.hpp"
#include "base/machine.hpp"
#include "base/windows/descriptor.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostAtOnce = 1u << 30;  // bytes of a call, which takes 32 bits

[[noreturn]] void fail_write(const fs::path& path, std::uint64_t wanted, std::uint64_t written, DWORD code) {
  std::string hint;
  if (code == ERROR_DISK_FULL || code == ERROR_HANDLE_DISK_FULL)
    hint = fmt::format("; {} bytes are free there, make room or choose another folder", free_space(path));
  fail(ErrorCode::kIo, "{}: cannot write {} bytes ({} written): {}{}", path.string(), wanted, written,
       windows_error(code).message(), hint);
}

DWORD creation_of(OutputFile::Mode mode) {
  switch (mode) {
    case OutputFile::Mode::kCreate:
      return CREATE_ALWAYS;
    case OutputFile::Mode::kNew:
      return CREATE_NEW;
    case OutputFile::Mode::kAppend:
      break;
  }
  return OPEN_ALWAYS;
}

// Whatever a shell has put there: a pipe, a file, the console.
std::string read_standard_input(std::uint64_t limit_bytes) {
  const HANDLE input = ::GetStdHandle(STD_INPUT_HANDLE);
  std::string content;
  char piece[64 << 10];
  for (;;) {
    DWORD got = 0;
    const bool read = ::ReadFile(input, piece, sizeof piece, &got, nullptr) != 0;
    const DWORD code = read ? 0 : ::GetLastError();
    if (!read && code != ERROR_BROKEN_PIPE && code != ERROR_HANDLE_EOF)
      fail(ErrorCode::kIo, "standard input: cannot read: {}", windows_error(code).message());
    if (got == 0) return content;
    content.append(piece, got);
    if (content.size() > limit_bytes)
      fail(ErrorCode::kFormat, "standard input: at most {} bytes are expected", limit_bytes);
  }
}

}  // namespace

bool is_pipe(const fs::path& path) {
  return path.generic_string() == "/dev/stdin";
}

std::string read_file(const fs::path& path, std::uint64_t limit_bytes) {
  if (is_pipe(path)) return read_standard_input(limit_bytes);
  const Handle file = open_for_reading(path);
  const std::uint64_t size = size_of(file, path);
  const auto too_large = [&](std::uint64_t bytes) {
    fail(ErrorCode::kFormat, "{}: {} bytes, at most {} are expected of such a file", path.string(), bytes, limit_bytes);
  };
  if (size > limit_bytes) too_large(size);
  std::string content;
  content.reserve(static_cast<std::size_t>(size));
  char piece[64 << 10];
  for (;;) {
    DWORD got = 0;
    if (!::ReadFile(file.get(), piece, sizeof piece, &got, nullptr))
      fail(ErrorCode::kIo, "{}: cannot read: {}", path.string(), last_error().message());
    if (got == 0) return content;
    content.append(piece, got);
    if (content.size() > limit_bytes) too_large(content.size());  // it grew
  }
}

// Windows keeps other users out of a user's temporary folder.
fs::path make_private_folder(const fs::path& parent, std::string_view stem) {
  static std::atomic<std::uint64_t> counter{0};
  for (;;) {
    fs::path path = parent / fmt::format("{}-{}-{}", stem, process_id(), counter.fetch_add(1));
    if (::CreateDirectoryW(path.c_str(), nullptr)) return path;
    const DWORD code = ::GetLastError();
    if (code != ERROR_ALREADY_EXISTS)
      fail(ErrorCode::kIo, "cannot create a temporary folder {}: {}", path.string(), windows_error(code).message());
  }
}

std::error_code put_in_place(const fs::path& from, const fs::path& to) {
  constexpr int kTries = 20;  // a scanner of viruses looks into new files and lets go of them soon
  constexpr DWORD kPause = 50;
  for (int i = 1;; ++i) {
    if (rename_replacing(from, to)) return {};
    const DWORD code = ::GetLastError();
    const bool in_use = code == ERROR_ACCESS_DENIED || code == ERROR_SHARING_VIOLATION;
    if (!in_use || i == kTries) return windows_error(code);
    ::Sleep(kPause);
  }
}

void sync_directory(const fs::path& path) {
  const fs::path folder = path.empty() ? fs::path(".") : path;
  std::error_code code;
  if (!fs::is_directory(folder, code)) fail(ErrorCode::kIo, "{}: cannot flush: it is no folder", folder.string());
  // Not every file system of Windows flushes folders, and none has to: names are in a journal.
  const Handle handle(::CreateFileW(folder.c_str(), GENERIC_WRITE, kShareAll, nullptr, OPEN_EXISTING,
                                    FILE_FLAG_BACKUP_SEMANTICS, nullptr));
  if (handle.valid()) ::FlushFileBuffers(handle.get());
}

void sync_file(const fs::path& path, const fs::path& asked_for) {
  const Handle file(::CreateFileW(path.c_str(), GENERIC_WRITE, kShareAll, nullptr, OPEN_EXISTING, 0, nullptr));
  if (file.valid() && ::FlushFileBuffers(file.get())) return;
  fail(ErrorCode::kIo, "{}: cannot flush to the disk: {}", asked_for.string(), last_error().message());
}

OutputFile::OutputFile(const fs::path& path, Mode mode, const fs::path& asked_for)
    : path_(asked_for.empty() ? path : asked_for) {
  Handle file(::CreateFileW(path.c_str(), GENERIC_WRITE, kShareAll, nullptr, creation_of(mode), FILE_ATTRIBUTE_NORMAL,
                            nullptr));
  if (!file.valid()) fail(ErrorCode::kIo, "{}: cannot open for writing: {}", path_.string(), last_error().message());
  if (::GetFileType(file.get()) != FILE_TYPE_DISK)
    fail(ErrorCode::kFormat, "{}: expected a file, found a special file", path_.string());
  fd_ = descriptor_of(file, mode == Mode::kAppend ? _O_APPEND : 0);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::_close(fd_);
}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::_close(fd_);
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void OutputFile::write(std::span<const std::byte> bytes) {
  std::size_t written = 0;
  while (written < bytes.size()) {
    const auto size = static_cast<unsigned>(std::min(bytes.size() - written, kMostAtOnce));
    const int count = ::_write(fd_, bytes.data() + written, size);  // knows whether to append
    if (count <= 0) fail_write(path_, bytes.size(), written, count == 0 ? ERROR_DISK_FULL : _doserrno);
    written += static_cast<std::size_t>(count);
  }
}

void OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  const HANDLE file = handle_of(fd_);
  LARGE_INTEGER end{};
  if (!::SetFilePointerEx(file, {}, &end, FILE_CURRENT)) fail_write(path_, bytes.size(), 0, ::GetLastError());
  std::size_t written = 0;
  while (written < bytes.size()) {
    OVERLAPPED place{};
    place.Offset = static_cast<DWORD>(offset + written);
    place.OffsetHigh = static_cast<DWORD>((offset + written) >> 32);
    DWORD count = 0;
    const auto size = static_cast<DWORD>(std::min(bytes.size() - written, kMostAtOnce));
    if (!::WriteFile(file, bytes.data() + written, size, &count, &place))
      fail_write(path_, bytes.size(), written, ::GetLastError());
    written += count;
  }
  ::SetFilePointerEx(file, end, nullptr, FILE_BEGIN);
}

void OutputFile::truncate(std::uint64_t size) {
  FILE_END_OF_FILE_INFO info{};
  info.EndOfFile.QuadPart = static_cast<LONGLONG>(size);
  if (!::SetFileInformationByHandle(handle_of(fd_), FileEndOfFileInfo, &info, sizeof info))
    fail(ErrorCode::kIo, "{}: cannot set its size to {} bytes: {}", path_.string(), size, last_error().message());
}

// Who may read a file follows from its folder.
void OutputFile::set_permissions(fs::perms) noexcept {}

void OutputFile::sync() {
  if (!::FlushFileBuffers(handle_of(fd_)))
    fail(ErrorCode::kIo, "{}: cannot flush to the disk: {}", path_.string(), last_error().message());
}

void OutputFile::close() {
  if (fd_ < 0) return;
  if (::_close(std::exchange(fd_, -1)) != 0)
    fail(ErrorCode::kIo, "{}: cannot close after writing: {}", path_.string(), last_error().message());
}

}  // namespace fabula
