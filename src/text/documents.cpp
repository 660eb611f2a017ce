#include "text/documents.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "text/tokenizer.hpp"

namespace fabula::text {
namespace {

/// Finds one separator in a text that is walked from front to back, each stretch looked through once.
class SeparatorSearch {
 public:
  SeparatorSearch(std::string_view text, std::string_view separator) : text_(text), separator_(separator) {}
  /// Where the next one at or behind `begin` starts; the text's size when there is none.
  size_t next(size_t begin) {
    if (!known_ || next_ < begin) next_ = std::min(text_.find(separator_, begin), text_.size());
    known_ = true;
    return next_;
  }
  size_t length() const { return separator_.size(); }

 private:
  std::string_view text_, separator_;
  size_t next_ = 0;
  bool known_ = false;
};

}  // namespace

std::vector<std::string_view> split_documents(std::string_view text, std::string_view end_token) {
  if (end_token.empty()) end_token = kEndOfText;
  SeparatorSearch searches[] = {{text, kEndOfText}, {text, end_token}};
  std::vector<std::string_view> documents;
  for (size_t begin = 0; begin < text.size();) {
    // Where both fit, the longer one stands there, as among added tokens.
    size_t end = text.size(), length = 0;
    for (SeparatorSearch& search : searches) {
      const size_t found = search.next(begin);
      if (found < end || (found == end && search.length() > length)) end = found, length = search.length();
    }
    const std::string_view document = trimmed_document(text.substr(begin, end - begin));
    if (!is_blank(document)) documents.push_back(document);
    begin = end + length;
  }
  return documents;
}

std::string_view trimmed_document(std::string_view document) {
  constexpr std::string_view kLineEnds = "\r\n";
  document.remove_prefix(std::min(document.find_first_not_of(kLineEnds), document.size()));
  return document.substr(0, document.find_last_not_of(kLineEnds) + 1);
}

bool is_blank(std::string_view document) {
  return document.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string ended_document(std::string_view document) {
  return fmt::format("{}\n{}\n", document, kEndOfText);
}

}  // namespace fabula::text
