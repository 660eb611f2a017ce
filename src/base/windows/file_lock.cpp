#include <io.h>

#include <cstring>
#include <utility>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/machine.hpp"
#include "base/windows/descriptor.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

int open_lock(const fs::path& path) {
  std::error_code code;
  if (fs::is_symlink(path, code))
    fail(ErrorCode::kInvalidArgument,
         "{} is a link to {}, which would be overwritten: fabula makes no such links; remove it", path.string(),
         fs::read_symlink(path, code).string());
  Handle file(::CreateFileW(path.c_str(), GENERIC_READ | GENERIC_WRITE, kShareAll, nullptr, OPEN_ALWAYS,
                            FILE_ATTRIBUTE_NORMAL, nullptr));
  if (!file.valid()) fail(ErrorCode::kIo, "{}: cannot open for locking: {}", path.string(), last_error().message());
  if (::GetFileType(file.get()) != FILE_TYPE_DISK)
    fail(ErrorCode::kFormat, "{}: expected a file, found a special file", path.string());
  return descriptor_of(file, 0);
}

}  // namespace

// A lock belongs to what was opened, which lives until its last handle is closed.
OutputFile::InUse::InUse(const OutputFile& file) : fd_(::_dup(file.fd_)) {
  if (fd_ >= 0) lock_for_itself(handle_of(fd_));
}

OutputFile::InUse::~InUse() {
  if (fd_ >= 0) ::_close(fd_);
}

bool is_in_use(const fs::path& path) {
  const Handle file(::CreateFileW(path.c_str(), GENERIC_READ, kShareAll, nullptr, OPEN_EXISTING,
                                  FILE_FLAG_OPEN_REPARSE_POINT, nullptr));
  return !file.valid() || !lock_for_itself(file.get());
}

FileLock::FileLock(const fs::path& path, std::string_view what) : fd_(open_lock(path)) {
  if (!lock_for_itself(handle_of(fd_))) {
    const std::error_code code = last_error();
    char owner[32] = {};
    const int got = ::_read(fd_, owner, sizeof owner - 1);
    ::_close(std::exchange(fd_, -1));
    if (code != windows_error(ERROR_LOCK_VIOLATION) && code != windows_error(ERROR_IO_PENDING))
      fail(ErrorCode::kIo, "{}: cannot lock: {}", path.string(), code.message());
    const std::string pid(owner, got > 0 ? std::strspn(owner, "0123456789") : 0);
    fail(ErrorCode::kInvalidArgument, "{} is in use by another fabula{}; wait for it or choose another folder", what,
         pid.empty() ? "" : " (process " + pid + ")");
  }
  // The number is for the message above only: a full disk may leave it out without harm.
  const std::string pid = fmt::format("{}\n", process_id());
  if (::_chsize(fd_, 0) == 0) [[maybe_unused]]
    const int ignored = ::_write(fd_, pid.data(), static_cast<unsigned>(pid.size()));
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::_close(fd_);
}

}  // namespace fabula
