#include "text/text_survey.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/fail.hpp"
#include "base/file_kind.hpp"
#include "text/utf8.hpp"

namespace fabula::text {
namespace {

namespace fs = std::filesystem;

// A stray byte is kept, for byte-level BPE takes any. Data that is no text has more of them: token ids of 2 bytes have
// a NUL in every tenth, compressed data an invalid byte in every second; Latin-1 texts of most languages stay below a
// tenth.
constexpr std::uint64_t kNulShare = 1000, kInvalidShare = 10;  // one in so many is too many

constexpr std::uint64_t kOnes = 0x0101010101010101ull, kHighBits = 0x80 * kOnes;

constexpr std::size_t kStrideWords = 4, kStride = kStrideWords * sizeof(std::uint64_t);

/// ASCII without NUL and carriage return, as most of most texts is. [kStride]
bool is_plain(const char* bytes) {
  std::uint64_t words[kStrideWords], odd = 0;
  std::memcpy(words, bytes, kStride);
  const auto has_zero = [](std::uint64_t value) { return (value - kOnes) & ~value; };
  for (const std::uint64_t word : words) odd |= word | has_zero(word) | has_zero(word ^ ('\r' * kOnes));
  return (odd & kHighBits) == 0;
}

bool too_many_nul(const TextSurvey& survey) {
  return survey.nul * kNulShare > survey.bytes;
}
bool too_many_invalid(const TextSurvey& survey) {
  return survey.invalid * kInvalidShare > survey.bytes;
}

/// Units of 2 or 4 bytes as they would be read as UTF-16 or UTF-32.
std::vector<std::uint32_t> units_of(std::string_view bytes, std::size_t width, bool little_endian) {
  std::vector<std::uint32_t> units;
  for (std::size_t i = 0; i + width <= bytes.size(); i += width) {
    std::uint32_t unit = 0;
    for (std::size_t k = 0; k < width; ++k) {
      const std::size_t at = little_endian ? width - 1 - k : k;
      unit = unit << 8 | static_cast<unsigned char>(bytes[i + at]);
    }
    units.push_back(unit);
  }
  return units;
}

/// Would it be a text? Its characters come from one or two blocks of 256, as those of an alphabet and its spaces do
/// (those of token ids come from everywhere), and hardly any is a control character.
bool reads_as_text(const std::vector<std::uint32_t>& units) {
  constexpr std::uint32_t kBlocks = 0x110000 / 256;
  std::vector<std::size_t> blocks(kBlocks, 0);
  std::size_t controls = 0;
  for (const std::uint32_t unit : units) {
    if (unit / 256 >= kBlocks) return false;
    ++blocks[unit / 256];
    if (unit < ' ' && unit != '\n' && unit != '\r' && unit != '\t') ++controls;
  }
  std::partial_sort(blocks.begin(), blocks.begin() + 2, blocks.end(), std::greater<>());
  return (blocks[0] + blocks[1]) * 10 >= units.size() * 9 && controls * 100 <= units.size();
}

/// UTF-16 or UTF-32 that begins with no mark.
FileKind unmarked_unicode(std::string_view bytes) {
  constexpr std::size_t kLookedAt = 64 << 10;
  bytes = bytes.substr(0, kLookedAt);
  const auto reads = [&](std::size_t width, bool little_endian) {
    return bytes.size() >= width && reads_as_text(units_of(bytes, width, little_endian));
  };
  if (reads(4, true)) return FileKind::kUtf32LittleEndian;
  if (reads(4, false)) return FileKind::kUtf32BigEndian;
  if (reads(2, true)) return FileKind::kUtf16LittleEndian;
  if (reads(2, false)) return FileKind::kUtf16BigEndian;
  return FileKind::kUnknown;
}

std::string advice(FileKind kind) {
  const auto iconv = [](const char* encoding) {
    return fmt::format("convert it: iconv -f {} -t UTF-8 FILE > NEW", encoding);
  };
  switch (kind) {
    case FileKind::kUtf16LittleEndian:
      return iconv("UTF-16LE");
    case FileKind::kUtf16BigEndian:
      return iconv("UTF-16BE");
    case FileKind::kUtf32LittleEndian:
      return iconv("UTF-32LE");
    case FileKind::kUtf32BigEndian:
      return iconv("UTF-32BE");
    case FileKind::kGzip:
    case FileKind::kBzip2:
    case FileKind::kXz:
    case FileKind::kZstd:
    case FileKind::kZip:
    case FileKind::kSevenZip:
    case FileKind::kTar:
      return "unpack it and name what is inside";
    case FileKind::kTokenFile:
      return "name the text that it was made from";
    default:
      return "write its texts to a file, each followed by a line <|endoftext|>";
  }
}

[[noreturn]] void refuse(const fs::path& path, std::string_view what, std::string_view next) {
  fail(ErrorCode::kFormat, "{}: {}, where UTF-8 text is expected; {} (--bytes takes the bytes as they are)",
       path.string(), what, next);
}

}  // namespace

TextSurvey survey_text(std::string_view bytes) {
  TextSurvey survey;
  survey.bytes = bytes.size();
  for (std::size_t i = 0; i < bytes.size();) {
    if (i + kStride <= bytes.size() && is_plain(bytes.data() + i)) {
      i += kStride;
      continue;
    }
    // So many bytes one by one, a character that begins in them to its end.
    for (const std::size_t end = std::min(i + kStride, bytes.size()); i < end;) {
      const Utf8Sequence character = first_utf8_sequence(bytes.substr(i));
      if (character.kind != Utf8Sequence::Kind::kValid) {
        if (survey.invalid == 0) survey.first_invalid = i;
        survey.invalid += character.length;
      } else if (bytes[i] == '\0') {
        ++survey.nul;
      } else if (bytes[i] == '\r') {
        ++(i + 1 < bytes.size() && bytes[i + 1] == '\n' ? survey.crlf : survey.cr);
      }
      i += character.length;
    }
  }
  return survey;
}

void refuse_unless_text(std::string_view bytes, const TextSurvey& survey, const fs::path& path) {
  refuse_git_lfs_pointer(bytes, path);
  FileKind kind = file_kind(bytes);
  if (kind == FileKind::kUtf8Mark || kind == FileKind::kGitLfsPointer)
    kind = FileKind::kUnknown;  // a text about pointers
  if (kind != FileKind::kUnknown) refuse(path, file_kind_name(kind), advice(kind));
  if (!too_many_nul(survey) && !too_many_invalid(survey)) return;
  kind = unmarked_unicode(bytes);
  if (kind != FileKind::kUnknown)
    refuse(path, fmt::format("{} without a byte order mark", file_kind_name(kind)), advice(kind));
  if (too_many_nul(survey))
    refuse(path,
           fmt::format("binary data ({} of {} bytes are NUL), such as the token ids of another program", survey.nul,
                       survey.bytes),
           "name the text that it was made from, or write its texts to a file");
  refuse(path,
         fmt::format("binary data or text in another encoding ({} of {} bytes are not UTF-8)", survey.invalid,
                     survey.bytes),
         "if it is text, convert it: iconv -f ENCODING -t UTF-8 FILE > NEW");
}

}  // namespace fabula::text
