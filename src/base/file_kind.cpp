#include "base/file_kind.hpp"

#include <charconv>
#include <fstream>

#include "base/fail.hpp"

namespace fabula {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view bytes;
  FileKind kind;
  std::size_t offset = 0;
};

// The first that fits is taken: a UTF-32 mark begins as a UTF-16 mark does.
constexpr Signature kSignatures[] = {
    {"version https://git-lfs.github.com/spec/"sv, FileKind::kGitLfsPointer},
    {"version https://hawser.github.com/spec/"sv, FileKind::kGitLfsPointer},  // before Git LFS had its name
    {"FABTOKEN"sv, FileKind::kTokenFile},
    {"GGUF"sv, FileKind::kGguf},
    {"PK\x03\x04"sv, FileKind::kZip},
    {"PK\x05\x06"sv, FileKind::kZip},
    {"\x80\x02"sv, FileKind::kPickle},
    {"\x80\x03"sv, FileKind::kPickle},
    {"\x80\x04"sv, FileKind::kPickle},
    {"\x80\x05"sv, FileKind::kPickle},
    {"\x93NUMPY"sv, FileKind::kNumpy},
    {"PAR1\x15"sv, FileKind::kParquet},  // behind its name the header of a page
    {"ARROW1\0\0"sv, FileKind::kArrow},
    {"\xff\xff\xff\xff\x10\0\0\0"sv, FileKind::kArrow},  // a stream, as Hugging Face's datasets keep it
    {"\x89HDF\r\n\x1a\n"sv, FileKind::kHdf5},
    {"SQLite format 3\0"sv, FileKind::kSqlite},
    {"\x1f\x8b"sv, FileKind::kGzip},
    {"BZh"sv, FileKind::kBzip2},
    {"\xfd\x37zXZ\0"sv, FileKind::kXz},
    {"\x28\xb5\x2f\xfd"sv, FileKind::kZstd},
    {"7z\xbc\xaf\x27\x1c"sv, FileKind::kSevenZip},
    {"ustar"sv, FileKind::kTar, 257},
    {"%PDF-"sv, FileKind::kPdf},
    {"\xef\xbb\xbf"sv, FileKind::kUtf8Mark},
    {"\xff\xfe\0\0"sv, FileKind::kUtf32LittleEndian},
    {"\0\0\xfe\xff"sv, FileKind::kUtf32BigEndian},
    {"\xff\xfe"sv, FileKind::kUtf16LittleEndian},
    {"\xfe\xff"sv, FileKind::kUtf16BigEndian},
};

bool fits(std::string_view bytes, const Signature& signature) {
  if (bytes.size() < signature.offset || !bytes.substr(signature.offset).starts_with(signature.bytes)) return false;
  // Signatures that are all letters could begin a text too: what stands behind them decides.
  if (signature.kind == FileKind::kBzip2) return bytes.size() >= 10 && bytes.substr(4, 6) == "\x31\x41\x59\x26\x53\x59";
  if (signature.kind == FileKind::kGguf) return bytes.size() >= 8 && bytes.substr(5, 3) == "\0\0\0"sv;
  return true;
}

/// A length of 8 bytes, small against what those could say, and the header's JSON.
bool is_safetensors(std::string_view bytes) {
  return bytes.size() > 8 && bytes[8] == '{' && bytes.substr(4, 4) == "\0\0\0\0"sv;
}

}  // namespace

std::string first_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kFileKindBytes, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

FileKind file_kind(std::string_view bytes) {
  for (const Signature& signature : kSignatures)
    if (fits(bytes, signature)) return signature.kind;
  return is_safetensors(bytes) ? FileKind::kSafetensors : FileKind::kUnknown;
}

std::string_view file_kind_name(FileKind kind) {
  switch (kind) {
    case FileKind::kUnknown:
      return "an unknown format";
    case FileKind::kGitLfsPointer:
      return "a Git LFS pointer";
    case FileKind::kTokenFile:
      return "a token file of fabula";
    case FileKind::kSafetensors:
      return "weights in safetensors format";
    case FileKind::kGguf:
      return "weights in GGUF format";
    case FileKind::kZip:
      return "a ZIP archive (PyTorch's .pt and .bin files are such, too)";
    case FileKind::kPickle:
      return "a Python pickle";
    case FileKind::kNumpy:
      return "a NumPy array (.npy)";
    case FileKind::kParquet:
      return "a Parquet file";
    case FileKind::kArrow:
      return "an Arrow file";
    case FileKind::kHdf5:
      return "an HDF5 file";
    case FileKind::kSqlite:
      return "an SQLite database";
    case FileKind::kGzip:
      return "gzip-compressed data";
    case FileKind::kBzip2:
      return "bzip2-compressed data";
    case FileKind::kXz:
      return "xz-compressed data";
    case FileKind::kZstd:
      return "Zstandard-compressed data";
    case FileKind::kSevenZip:
      return "a 7z archive";
    case FileKind::kTar:
      return "a tar archive";
    case FileKind::kPdf:
      return "a PDF document";
    case FileKind::kUtf8Mark:
      return "UTF-8 text with a byte order mark";
    case FileKind::kUtf16LittleEndian:
      return "UTF-16 text (little-endian)";
    case FileKind::kUtf16BigEndian:
      return "UTF-16 text (big-endian)";
    case FileKind::kUtf32LittleEndian:
      return "UTF-32 text (little-endian)";
    case FileKind::kUtf32BigEndian:
      return "UTF-32 text (big-endian)";
  }
  return "an unknown format";
}

std::optional<GitLfsPointer> git_lfs_pointer(std::string_view bytes) {
  constexpr std::size_t kMostBytes = 1024;  // https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
  if (bytes.size() >= kMostBytes || file_kind(bytes) != FileKind::kGitLfsPointer) return std::nullopt;
  if (bytes.find("\noid ") == std::string_view::npos) return std::nullopt;
  GitLfsPointer pointer;
  constexpr std::string_view kSize = "\nsize ";
  if (const std::size_t found = bytes.find(kSize); found != std::string_view::npos)
    std::from_chars(bytes.data() + found + kSize.size(), bytes.data() + bytes.size(), pointer.size);
  return pointer;
}

void refuse_git_lfs_pointer(std::string_view bytes, const std::filesystem::path& path) {
  const std::optional<GitLfsPointer> pointer = git_lfs_pointer(bytes);
  if (!pointer) return;
  fail(ErrorCode::kFormat,
       "{}: a Git LFS pointer of {} bytes, not the file itself{}; `git lfs pull` in its repository fetches the file",
       path.string(), bytes.size(), pointer->size > 0 ? fmt::format(" ({} bytes)", pointer->size) : "");
}

}  // namespace fabula
