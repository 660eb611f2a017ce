#include "base/atomic_file.hpp"

#include <atomic>
#include <system_error>

#include "base/fail.hpp"
#include "base/file_errors.hpp"
#include "base/folder_update.hpp"
#include "base/machine.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBufferBytes = 256u << 10;

constexpr std::string_view kTemporaryMark = ".tmp-";

// Unique among the processes (pid) and the threads (counter) that may write the same target, and unlike what a process
// of the same number may have left.
fs::path temporary_name(const fs::path& target) {
  static std::atomic<std::uint64_t> counter{0};
  for (;;) {
    fs::path path = parent_of(target) / fmt::format(".{}{}{}-{}", target.filename().string(), kTemporaryMark,
                                                    process_id(), counter.fetch_add(1));
    std::error_code code;
    if (!fs::exists(fs::symlink_status(path, code))) return path;
  }
}

bool is_temporary_name(std::string_view name) {
  const std::size_t mark = name.rfind(kTemporaryMark);
  if (!name.starts_with('.') || mark == name.npos || mark < 2) return false;
  const std::string_view numbers = name.substr(mark + kTemporaryMark.size());
  const std::size_t dash = numbers.find('-');
  return dash != numbers.npos && dash > 0 && dash + 1 < numbers.size() &&
         numbers.find_first_not_of("0123456789-") == numbers.npos && numbers.rfind('-') == dash;
}

// Where a chain of links leads, whether or not a file is there: renaming over a link would put a file in its place.
fs::path behind_links(fs::path path) {
  constexpr int kMostLinks = 40;  // as Linux follows
  std::error_code code;
  for (int i = 0; i < kMostLinks && fs::is_symlink(path, code); ++i) {
    const fs::path to = fs::read_symlink(path, code);
    path = to.is_absolute() ? to : parent_of(path) / to;
  }
  return path;
}

}  // namespace

fs::path checked_target(const fs::path& path, std::span<const fs::path> inputs) {
  std::error_code code;
  if (path.empty()) fail(ErrorCode::kInvalidArgument, "the name of the file to write is empty");
  const fs::path target = behind_links(path);
  const std::string shown = FolderUpdate::asked_for(path).string();
  if (!fs::is_directory(parent_of(target), code))
    fail(ErrorCode::kIo, "{}: cannot be written: there is no folder {}", shown, parent_of(target).string());
  if (fs::is_directory(target, code)) fail(ErrorCode::kIo, "{}: cannot be written: it is a folder", shown);
  if (fs::exists(target, code) && !fs::is_regular_file(target, code))
    fail(ErrorCode::kIo,
         "{}: cannot be written: it is a device or a pipe, and a file would take its place; name a file", shown);
  for (const fs::path& input : inputs)
    if (fs::equivalent(input, target, code))
      fail(ErrorCode::kInvalidArgument, "{} is what is read, and would be overwritten; name another file to write",
           shown);
  return target;
}

AtomicFile::AtomicFile(const fs::path& target)
    : asked_for_(FolderUpdate::asked_for(target)),
      target_(checked_target(target)),
      temporary_(temporary_name(target_)),
      removed_on_signal_(temporary_),
      file_(temporary_, OutputFile::Mode::kNew, asked_for_),
      in_use_(std::in_place, file_) {
  std::error_code code;
  const fs::file_status replaced = fs::status(asked_for_, code);
  if (fs::is_regular_file(replaced))
    file_.set_permissions(replaced.permissions());  // before there is anything to read in it
}

AtomicFile::~AtomicFile() {
  std::error_code ignored;
  if (!done_) fs::remove(temporary_, ignored);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  if (bytes.size() > kBufferBytes) {
    file_.write(bytes);
  } else {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
  size_ += bytes.size();
}

void AtomicFile::write_at(std::uint64_t offset, const void* data, std::size_t size) {
  ensure(offset <= size_ && size <= size_ - offset, "{}: {} bytes at {} are not all written yet", asked_for_.string(),
         size, offset);
  flush();
  file_.write_at(offset, {static_cast<const std::byte*>(data), size});
}

void AtomicFile::flush() {
  file_.write(buffer_);
  buffer_.clear();
}

void AtomicFile::commit() {
  flush();
  file_.sync();
  file_.close();
  if (const std::error_code code = put_in_place(temporary_, target_))
    fail(ErrorCode::kIo, "{}: cannot put the new file of {} bytes in place: {}", asked_for_.string(), size_,
         code.message());
  done_ = true;
  in_use_.reset();
  sync_directory(parent_of(target_));
}

std::size_t remove_litter(const fs::path& folder) {
  std::size_t removed = 0;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    std::error_code ignored;
    const bool litter = is_temporary_name(it->path().filename().string()) &&
                        fs::is_regular_file(it->symlink_status(ignored)) && !is_in_use(it->path());
    if (litter && fs::remove(it->path(), ignored)) ++removed;
  }
  return removed;
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace fabula
