#pragma once
#include <cstddef>
#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.hpp"
#include "text/text_survey.hpp"

namespace fabula::text {

/// How the bytes of a text file become a text.
struct TextOptions {
  bool keep_line_ends = false;  ///< CRLF and CR stay; else they become LF
  bool bytes = false;           ///< nothing is refused and nothing changed, whatever the bytes are
};

/// Documents as they are tokenized: views of the file where nothing changes, else of strings that lie beside them.
struct Documents {
  Documents() = default;
  Documents(Documents&&) = default;
  Documents& operator=(Documents&&) = default;  // and no copies: the views are of `changed`

  std::vector<std::string_view> views;
  std::deque<std::string> changed;
};

/// A text file as every command reads it: mapped (a pipe is read), refused when it is no UTF-8 text, without its byte
/// order marks, with line ends of one kind, and in documents.
class TextFile {
 public:
  /// `end_token` separates documents beside <|endoftext|> (split_documents). Errors: kNotFound, kIo, kFormat.
  explicit TextFile(const std::filesystem::path& path, const TextOptions& options = {},
                    std::string_view end_token = {});
  TextFile(const TextFile&) = delete;  // its views are of itself
  TextFile& operator=(const TextFile&) = delete;

  /// What read(), which looks at documents, returns or throws, unless the file was cut short: then that is the error.
  template <class Read>
  auto checked(Read&& read) const {
    return file_.checked(std::forward<Read>(read));
  }

  /// Error kIo when the file was cut short since it was opened.
  void check() const { file_.check(); }

  std::size_t bytes() const { return raw_.size(); }  ///< of the file
  std::size_t document_count() const { return documents_.size(); }
  /// The length of a document before line ends change, in bytes.
  std::size_t document_bytes(std::size_t index) const { return documents_[index].size(); }
  /// The documents [begin, end). The views last as long as this and the result.
  Documents documents(std::size_t begin, std::size_t end) const;
  Documents documents() const { return documents(0, document_count()); }
  /// The text as one, separators and all.
  std::string whole() const;

  /// What was changed and what is odd, for the user to read; mostly empty.
  std::vector<std::string> notes() const;

 private:
  void look_at(std::string_view end_token);
  void drop_marks();
  bool changes_line_ends() const { return !options_.keep_line_ends && survey_.crlf + survey_.cr > 0; }

  std::filesystem::path path_;
  TextOptions options_;
  MappedFile file_;
  std::string read_;       // in place of file_, of a pipe
  std::string_view raw_;   // the file's bytes
  std::string_view text_;  // without the mark that they begin with
  TextSurvey survey_;      // not made when options_.bytes
  std::size_t marks_ = 0;
  std::vector<std::string_view> documents_;
};

}  // namespace fabula::text
