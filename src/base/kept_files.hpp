#pragma once
#include <filesystem>
#include <span>
#include <string>

namespace fabula {

/// Keeps the files `names` of `folder` in the folder `to` beside it: hard links, and copies where the file system has
/// none, of what AtomicFile writes, so that a new version of a file leaves the kept one as it is. `to` appears with all
/// of them as one step; what was there goes before. Error kIo, then `folder` is as it was.
void keep_files(const std::filesystem::path& folder, std::span<const std::string> names,
                const std::filesystem::path& to);

/// Puts a file where none is yet: a hard link, or a copy that is flushed. Error kIo.
void link_or_copy(const std::filesystem::path& from, const std::filesystem::path& to);

/// Removes a folder made by keep_files: one rename, then file by file. One that is not there is no error. Error kIo.
void discard_kept(const std::filesystem::path& kept);

/// Removes what either call has left when it was cut short; the kept folder itself stays. Error kIo.
void discard_unfinished(const std::filesystem::path& kept);

}  // namespace fabula
