#include "text/text_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/file_io.hpp"
#include "text/documents.hpp"

namespace fabula::text {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "\xef\xbb\xbf";           // U+FEFF
constexpr std::size_t kLooksFirstAt = std::size_t{1} << 20;  // bytes; what is no text is seldom one there
constexpr std::uint64_t kMostOfAPipe = 16ull << 30;

/// A text with CRLF and CR as LF.
std::string with_line_feeds(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (true) {
    const std::size_t end = text.find('\r');
    result += text.substr(0, end);
    if (end == std::string_view::npos) return result;
    result += '\n';
    text.remove_prefix(end + 1);
    if (text.starts_with('\n')) text.remove_prefix(1);
  }
}

}  // namespace

TextFile::TextFile(const fs::path& path, const TextOptions& options, std::string_view end_token)
    : path_(path), options_(options) {
  if (is_pipe(path)) {
    read_ = read_file(path, kMostOfAPipe);
    raw_ = read_;
  } else {
    file_ = MappedFile(path);
    raw_ = file_.text();
  }
  checked([&] { look_at(end_token); });
}

void TextFile::look_at(std::string_view end_token) {
  text_ = raw_;
  if (!options_.bytes) {
    if (raw_.size() > kLooksFirstAt) refuse_unless_text(raw_, survey_text(raw_.substr(0, kLooksFirstAt)), path_);
    survey_ = survey_text(raw_);
    refuse_unless_text(raw_, survey_, path_);
    if (text_.starts_with(kMark)) text_.remove_prefix(kMark.size()), ++marks_;
  }
  documents_ = split_documents(text_, end_token);
  if (!options_.bytes) drop_marks();
}

/// Files with marks that were put together have them where a document begins, too.
void TextFile::drop_marks() {
  for (std::string_view& document : documents_) {
    if (!document.starts_with(kMark)) continue;
    document = trimmed_document(document.substr(kMark.size()));
    ++marks_;
  }
  std::erase_if(documents_, is_blank);
}

Documents TextFile::documents(std::size_t begin, std::size_t end) const {
  Documents result;
  result.views.assign(documents_.begin() + static_cast<std::ptrdiff_t>(begin),
                      documents_.begin() + static_cast<std::ptrdiff_t>(end));
  if (!changes_line_ends()) return result;
  for (std::string_view& document : result.views)
    if (document.find('\r') != std::string_view::npos)
      document = result.changed.emplace_back(with_line_feeds(document));
  return result;
}

std::string TextFile::whole() const {
  return checked([&] { return changes_line_ends() ? with_line_feeds(text_) : std::string(text_); });
}

std::vector<std::string> TextFile::notes() const {
  std::vector<std::string> notes;
  const std::string name = path_.string();
  if (marks_ > 0) notes.push_back(fmt::format("{}: {} byte order mark(s) left out", name, marks_));
  if (changes_line_ends())
    notes.push_back(fmt::format("{}: {} line ends CRLF and {} CR are read as LF; --keep-line-ends keeps them", name,
                                survey_.crlf, survey_.cr));
  if (survey_.invalid > 0)
    notes.push_back(fmt::format(
        "{}: {} bytes are not UTF-8, the first at byte {}; they are kept as they are: if the text is in another "
        "encoding, convert it to UTF-8",
        name, survey_.invalid, survey_.first_invalid));
  if (survey_.nul > 0) notes.push_back(fmt::format("{}: {} NUL bytes are kept as they are", name, survey_.nul));
  return notes;
}

}  // namespace fabula::text
