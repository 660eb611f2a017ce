#include "text/documents.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "text/tokenizer.hpp"

namespace fabula::text {

std::vector<std::string_view> split_documents(std::string_view text) {
  std::vector<std::string_view> documents;
  while (!text.empty()) {
    const size_t end = std::min(text.find(kEndOfText), text.size());
    std::string_view document = text.substr(0, end);
    while (document.starts_with('\n')) document.remove_prefix(1);
    while (document.ends_with('\n')) document.remove_suffix(1);
    if (document.find_first_not_of(" \t\r\n") != std::string_view::npos) documents.push_back(document);
    text.remove_prefix(std::min(end + kEndOfText.size(), text.size()));
  }
  return documents;
}

std::string ended_document(std::string_view document) {
  return fmt::format("{}\n{}\n", document, kEndOfText);
}

}  // namespace fabula::text
