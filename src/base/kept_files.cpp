#include "base/kept_files.hpp"

#include <system_error>

#include "base/fail.hpp"
#include "base/file_errors.hpp"
#include "base/file_io.hpp"

namespace fabula {
namespace {

namespace fs = std::filesystem;

/// Where a kept folder is made and taken apart: what has this name is litter.
fs::path unfinished(const fs::path& kept) {
  return kept.string() + ".unfinished";
}

}  // namespace

void link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code code;
  if (!fs::is_symlink(from, code)) fs::create_hard_link(from, to, code);
  if (!code && fs::exists(to, code)) return;
  fs::copy_file(from, to, code);
  check_done(code, to, "keep a copy of the file of that name");
  OutputFile(to, OutputFile::Mode::kAppend).sync();
}

void keep_files(const fs::path& folder, std::span<const std::string> names, const fs::path& to) {
  discard_kept(to);
  const fs::path making = unfinished(to);
  ensure_directory(making);
  for (const std::string& name : names) link_or_copy(folder / name, making / name);
  sync_directory(making);
  check_done(put_in_place(making, to), to, "put the folder in place");
  sync_directory(parent_of(to));
}

void discard_unfinished(const fs::path& kept) {
  std::error_code code;
  fs::remove_all(unfinished(kept), code);
  check_done(code, unfinished(kept), "remove");
}

void discard_kept(const fs::path& kept) {
  discard_unfinished(kept);
  std::error_code code;
  if (!fs::exists(fs::symlink_status(kept, code))) return;
  check_done(put_in_place(kept, unfinished(kept)), kept, "remove");
  discard_unfinished(kept);
}

}  // namespace fabula
