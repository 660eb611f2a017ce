#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace fabula {

/// What a file is by how it begins.
enum class FileKind {
  kUnknown,  ///< text, or a format that is not known here
  kGitLfsPointer,
  kTokenFile,  ///< of fabula
  kSafetensors,
  kGguf,
  kZip,  ///< also what torch.save writes
  kPickle,
  kNumpy,
  kParquet,
  kArrow,
  kHdf5,
  kSqlite,
  kGzip,
  kBzip2,
  kXz,
  kZstd,
  kSevenZip,
  kTar,
  kPdf,
  kUtf8Mark,  ///< text behind a byte order mark
  kUtf16LittleEndian,
  kUtf16BigEndian,
  kUtf32LittleEndian,
  kUtf32BigEndian,
};

/// Looks at the first bytes of a file: all of them, or at least the first kFileKindBytes.
FileKind file_kind(std::string_view bytes);
inline constexpr std::size_t kFileKindBytes = 512;
/// Those of a file; fewer where it is shorter, none where it cannot be read.
std::string first_bytes(const std::filesystem::path& path);

/// "gzip-compressed data"; kUnknown is "an unknown format".
std::string_view file_kind_name(FileKind kind);

/// A Git LFS pointer: the few lines that stand in place of a file in a clone without git lfs.
struct GitLfsPointer {
  std::uint64_t size = 0;  ///< of the file that it stands for; 0: not said
};
/// `bytes` is the whole file.
std::optional<GitLfsPointer> git_lfs_pointer(std::string_view bytes);

/// Throws kFormat, naming the file and how to fetch what belongs there, if the whole file's bytes are a Git LFS
/// pointer.
void refuse_git_lfs_pointer(std::string_view bytes, const std::filesystem::path& path);

}  // namespace fabula
