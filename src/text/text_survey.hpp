#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace fabula::text {

/// What was met in a text. All counts are of the whole text.
struct TextSurvey {
  std::uint64_t bytes = 0;
  std::uint64_t nul = 0;
  std::uint64_t invalid = 0;        ///< bytes that are part of no UTF-8 character
  std::uint64_t first_invalid = 0;  ///< where the first of them stands
  std::uint64_t crlf = 0, cr = 0;   ///< line ends of Windows; carriage returns without a line feed
};
TextSurvey survey_text(std::string_view bytes);

/// Throws kFormat for a file whose bytes are no UTF-8 text, naming the file, what it looks like and what to do: other
/// formats, Git LFS pointers, UTF-16 and UTF-32 with or without a mark, other binary data, other encodings.
void refuse_unless_text(std::string_view bytes, const TextSurvey& survey, const std::filesystem::path& path);

}  // namespace fabula::text
