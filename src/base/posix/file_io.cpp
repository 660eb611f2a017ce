#include "base/file_io.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <system_error>
#include <utility>

#include "base/fail.hpp"
#include "base/file_errors.hpp"
#include "base/machine.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

// Past RLIMIT_FSIZE the kernel sends SIGXFSZ to the writing thread before write() fails with EFBIG; unhandled it ends
// the process. The signal is blocked in this thread alone, and taken back off the queue when it came, so that no
// setting of the host program changes.
class FileSizeSignalGuard {
 public:
  FileSizeSignalGuard() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &set_, &old_);
  }
  ~FileSizeSignalGuard() {
    if (!sigismember(&old_, SIGXFSZ)) {
      const timespec no_wait{};
      while (sigtimedwait(&set_, nullptr, &no_wait) == SIGXFSZ) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &old_, nullptr);
  }
  FileSizeSignalGuard(const FileSizeSignalGuard&) = delete;
  FileSizeSignalGuard& operator=(const FileSizeSignalGuard&) = delete;

 private:
  sigset_t set_{};
  sigset_t old_{};
};

[[noreturn]] void fail_write(const fs::path& path, std::uint64_t wanted, std::uint64_t written, int code) {
  std::string hint;
  if (code == ENOSPC || code == EDQUOT) {
    hint = fmt::format("; {} bytes are free there, make room or choose another folder", free_space(path));
  } else if (code == EFBIG) {
    hint = "; the file-size limit of this process or file system is reached (ulimit -f)";
  }
  fail(ErrorCode::kIo, "{}: cannot write {} bytes ({} written): {}{}", path.string(), wanted, written,
       system_reason(code), hint);
}

// Never waits for the other end of a pipe.
int open_checked(const fs::path& path, int flags, const char* purpose, const fs::path& asked_for) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
  if (fd < 0) {
    const int code = errno;
    const bool missing = code == ENOENT || code == ENOTDIR;
    if (code == ENXIO) fail(ErrorCode::kFormat, "{}: expected a file, found a special file", asked_for.string());
    fail(missing && (flags & O_CREAT) == 0 ? ErrorCode::kNotFound : ErrorCode::kIo, "{}: cannot open for {}: {}",
         asked_for.string(), purpose, system_reason(code));
  }
  return fd;
}

int flags_of(OutputFile::Mode mode) {
  if (mode == OutputFile::Mode::kAppend) return O_WRONLY | O_CREAT | O_APPEND;
  return O_WRONLY | O_CREAT | (mode == OutputFile::Mode::kNew ? O_EXCL : O_TRUNC);
}

void wait_for_data(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

struct Closer {
  int fd;
  ~Closer() { ::close(fd); }
};

// A name of one of the process's own descriptors: whoever gives it means what is behind it, a pipe or a terminal too.
bool names_own_descriptor(const fs::path& path) {
  const std::string& name = path.native();
  return name == "/dev/stdin" || name.starts_with("/dev/fd/") || name.starts_with("/proc/self/fd/");
}

void check_readable(const fs::path& path, const struct stat& info) {
  if (S_ISREG(info.st_mode) || (!S_ISDIR(info.st_mode) && names_own_descriptor(path))) return;
  fail(ErrorCode::kFormat, "{}: expected a file, found a {}", path.string(),
       S_ISDIR(info.st_mode) ? "folder" : "special file");
}

int open_lock(const fs::path& path) {
  std::error_code code;
  if (fs::is_symlink(path, code))
    fail(ErrorCode::kInvalidArgument,
         "{} is a link to {}, which would be overwritten: fabula makes no such links; remove it", path.string(),
         fs::read_symlink(path, code).string());
  const int fd = open_checked(path, O_RDWR | O_CREAT | O_NOFOLLOW, "locking", path);
  struct stat info {};
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
  ::close(fd);
  fail(ErrorCode::kFormat, "{}: expected a file, found a special file", path.string());
}

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t limit_bytes) {
  const int fd = open_checked(path, O_RDONLY, "reading", path);
  const Closer closer{fd};
  struct stat info {};
  if (::fstat(fd, &info) != 0)
    fail(ErrorCode::kIo, "{}: cannot read its size: {}", path.string(), system_reason(errno));
  check_readable(path, info);
  wait_for_data(fd);
  const auto too_large = [&](std::uint64_t size) {
    fail(ErrorCode::kFormat, "{}: {} bytes, at most {} are expected of such a file", path.string(), size, limit_bytes);
  };
  if (S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) > limit_bytes) {
    too_large(static_cast<std::uint64_t>(info.st_size));
  }
  std::string content;
  content.reserve(S_ISREG(info.st_mode) ? static_cast<std::size_t>(info.st_size) : 0);
  char piece[64 << 10];
  for (;;) {
    const ssize_t got = ::read(fd, piece, sizeof(piece));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ErrorCode::kIo, "{}: cannot read: {}", path.string(), system_reason(errno));
    if (got == 0) return content;
    content.append(piece, static_cast<std::size_t>(got));
    if (content.size() > limit_bytes) too_large(content.size());  // it grew, or it is a pipe
  }
}

bool is_pipe(const fs::path& path) {
  std::error_code code;
  const fs::file_type type = fs::status(path, code).type();
  return !code && (type == fs::file_type::fifo || type == fs::file_type::character);
}

fs::path make_private_folder(const fs::path& parent, std::string_view stem) {
  std::string name = (parent / fmt::format("{}-XXXXXX", stem)).string();
  if (::mkdtemp(name.data()) == nullptr)
    fail(ErrorCode::kIo, "cannot create a temporary folder {}: {}", name, system_reason(errno));
  return name;
}

std::error_code put_in_place(const fs::path& from, const fs::path& to) {
  std::error_code code;
  fs::rename(from, to, code);
  return code;
}

void sync_directory(const fs::path& path) {
  const int fd = open_checked(path.empty() ? fs::path(".") : path, O_RDONLY | O_DIRECTORY, "flushing", path);
  const int result = ::fsync(fd);
  const int code = errno;
  ::close(fd);
  // Some file systems (FAT through FUSE, network shares) cannot flush a folder; there is nothing better to do on them.
  if (result != 0 && code != EINVAL && code != ENOTSUP) {
    fail(ErrorCode::kIo, "{}: cannot flush the folder: {}", path.string(), system_reason(code));
  }
}

void sync_file(const fs::path& path, const fs::path& asked_for) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fd = open_checked(path, O_WRONLY, "flushing", asked_for);  // its mode may allow one and not the other
  const Closer closer{fd};
  if (::fsync(fd) == 0) return;
  const int code = errno;
  fail(ErrorCode::kIo, "{}: cannot flush to the disk: {}", asked_for.string(), system_reason(code));
}

OutputFile::OutputFile(const fs::path& path, Mode mode, const fs::path& asked_for)
    : path_(asked_for.empty() ? path : asked_for), fd_(open_checked(path, flags_of(mode), "writing", path_)) {
  struct stat info {};
  if (::fstat(fd_, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode))) {
    ::close(std::exchange(fd_, -1));
    fail(ErrorCode::kFormat, "{}: expected a file, found a special file", path_.string());
  }
  wait_for_data(fd_);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void OutputFile::write(std::span<const std::byte> bytes) {
  const FileSizeSignalGuard guard;
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(fd_, bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_write(path_, bytes.size(), written, errno);
    written += static_cast<std::size_t>(count);
  }
}

void OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  const FileSizeSignalGuard guard;
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count =
        ::pwrite(fd_, bytes.data() + written, bytes.size() - written, static_cast<off_t>(offset + written));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_write(path_, bytes.size(), written, errno);
    written += static_cast<std::size_t>(count);
  }
}

void OutputFile::truncate(std::uint64_t size) {
  const FileSizeSignalGuard guard;
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) {
    const int code = errno;
    fail(ErrorCode::kIo, "{}: cannot set its size to {} bytes: {}", path_.string(), size, system_reason(code));
  }
}

void OutputFile::set_permissions(fs::perms permissions) noexcept {
  [[maybe_unused]] const int ignored = ::fchmod(fd_, static_cast<mode_t>(permissions & fs::perms::all));
}

void OutputFile::sync() {
  if (::fsync(fd_) != 0) {
    const int code = errno;
    fail(ErrorCode::kIo, "{}: cannot flush to the disk: {}", path_.string(), system_reason(code));
  }
}

void OutputFile::close() {
  if (fd_ < 0) return;
  if (::close(std::exchange(fd_, -1)) != 0) {
    const int code = errno;
    fail(ErrorCode::kIo, "{}: cannot close after writing: {}", path_.string(), system_reason(code));
  }
}

// A lock belongs to what was opened, which lives until its last descriptor is closed.
OutputFile::InUse::InUse(const OutputFile& file) : fd_(::fcntl(file.fd_, F_DUPFD_CLOEXEC, 0)) {
  if (fd_ >= 0) ::flock(fd_, LOCK_EX | LOCK_NB);
}

OutputFile::InUse::~InUse() {
  if (fd_ >= 0) ::close(fd_);
}

bool is_in_use(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (fd < 0) return true;
  const Closer closer{fd};
  return ::flock(fd, LOCK_EX | LOCK_NB) != 0;
}

FileLock::FileLock(const fs::path& path, std::string_view what) : fd_(open_lock(path)) {
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int code = errno;
    char owner[32] = {};
    const ssize_t got = ::pread(fd_, owner, sizeof(owner) - 1, 0);
    ::close(std::exchange(fd_, -1));
    if (code != EWOULDBLOCK) fail(ErrorCode::kIo, "{}: cannot lock: {}", path.string(), system_reason(code));
    const std::string pid(owner, got > 0 ? std::strspn(owner, "0123456789") : 0);
    fail(ErrorCode::kInvalidArgument, "{} is in use by another fabula{}; wait for it or choose another folder", what,
         pid.empty() ? "" : " (process " + pid + ")");
  }
  // The number is for the message above only: a full disk may leave it out without harm.
  const std::string pid = fmt::format("{}\n", process_id());
  if (::ftruncate(fd_, 0) == 0) [[maybe_unused]]
    const ssize_t ignored = ::pwrite(fd_, pid.data(), pid.size(), 0);
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace fabula
