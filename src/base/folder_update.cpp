#include "base/folder_update.hpp"

#include <algorithm>
#include <system_error>
#include <vector>

#include "base/fail.hpp"
#include "base/file_errors.hpp"
#include "base/file_io.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWriting = "checkpoint.writing";
constexpr const char* kReady = "checkpoint.ready";

void call(const FolderUpdate::StepHook& hook, std::string_view step) {
  if (hook) hook(step);
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::error_code code;
  std::vector<fs::path> found;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
    found.push_back(it->path());
  check_done(code, folder, "list");
  return found;
}

// Links of these names are no one's wish, wherever they lead.
void refuse_link(const fs::path& path) {
  std::error_code code;
  if (fs::is_symlink(path, code))
    fail(ErrorCode::kInvalidArgument,
         "{} is a link to {}: fabula makes no such links, and files there would be moved "
         "or removed; remove the link",
         path.string(), fs::read_symlink(path, code).string());
}

void refuse_links(const fs::path& folder) {
  for (const char* name : {kWriting, kReady}) refuse_link(folder / name);
}

void flush_files(const fs::path& folder, const FolderUpdate::StepHook& hook) {
  for (const fs::path& path : entries(folder)) {
    call(hook, "flush " + path.filename().string());
    sync_file(path, FolderUpdate::asked_for(path));
  }
  call(hook, "flush new folder");
  sync_directory(folder);
}

}  // namespace

FolderUpdate::FolderUpdate(const fs::path& folder, StepHook hook) : folder_(folder), hook_(std::move(hook)) {
  ensure_directory(folder_);
  recover(folder_, hook_);
  call(hook_, "create new folder");
  ensure_directory(folder_ / kWriting);
}

FolderUpdate::~FolderUpdate() {
  std::error_code ignored;
  if (!done_) fs::remove_all(folder_ / kWriting, ignored);
}

fs::path FolderUpdate::path_of(std::string_view name) const {
  return folder_ / kWriting / name;
}

void FolderUpdate::commit() {
  flush_files(folder_ / kWriting, hook_);
  call(hook_, "make current");
  const std::error_code code = put_in_place(folder_ / kWriting, folder_ / kReady);
  check_done(code, folder_ / kReady, "put the new checkpoint in place");
  done_ = true;
  call(hook_, "flush folder");
  sync_directory(folder_);
  recover(folder_, hook_);
}

void FolderUpdate::recover(const fs::path& folder, const StepHook& hook) {
  std::error_code code;
  if (!fs::is_directory(folder, code)) return;
  refuse_links(folder);
  const fs::path ready = folder / kReady;
  if (fs::is_directory(ready, code)) {
    for (const fs::path& path : entries(ready)) refuse_link(path);  // before any of it is in place
    for (const fs::path& path : entries(ready)) {
      call(hook, "move " + path.filename().string());
      code = put_in_place(path, folder / path.filename());
      check_done(code, folder / path.filename(), "put the new file in place");
    }
    call(hook, "flush moved files");
    sync_directory(ready);
    sync_directory(folder);
    call(hook, "remove empty folder");
    fs::remove(ready, code);
    check_done(code, ready, "remove");
  }
  if (fs::exists(folder / kWriting, code)) {
    call(hook, "remove litter");
    fs::remove_all(folder / kWriting, code);
    check_done(code, folder / kWriting, "remove");
  }
}

fs::path FolderUpdate::current(const fs::path& folder, std::string_view name) {
  std::error_code code;
  const fs::path ready = folder / kReady / name;
  return fs::exists(ready, code) ? ready : folder / name;
}

bool FolderUpdate::is_empty(const fs::path& folder) {
  const std::vector<fs::path> found = entries(folder);
  return std::all_of(found.begin(), found.end(), [](const fs::path& path) { return path.filename() == kWriting; });
}

fs::path FolderUpdate::asked_for(const fs::path& path) {
  const fs::path folder = path.parent_path();
  if (folder.filename() != kWriting && folder.filename() != kReady) return path;
  return folder.parent_path() / path.filename();
}

void check_no_link_out(const fs::path& folder, std::string_view name) {
  const fs::path path = folder / name;
  std::error_code code;
  if (!fs::is_symlink(path, code)) return;
  const fs::path home = fs::canonical(folder, code);
  const fs::path to = fs::canonical(path, code);
  const bool inside = !code && std::mismatch(home.begin(), home.end(), to.begin(), to.end()).first == home.end();
  if (inside) return;
  fail(ErrorCode::kInvalidArgument,
       "{} is a link to {}, out of its folder: what is written there would change other people's files; put the file "
       "itself there, or remove the link",
       path.string(), fs::read_symlink(path, code).string());
}

}  // namespace fabula
