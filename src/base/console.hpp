#pragma once
#include <string_view>

namespace fabula {

enum class Stream { kOut, kError };

/// Is a person looking at it, through a terminal?
bool is_console(Stream stream);
/// Columns; 0 where it is no terminal or does not say.
int console_width(Stream stream);
/// UTF-8 text, a character in one piece. What goes to standard error is there when this returns; standard output may
/// keep it until it is flushed. False with errno where it cannot be written.
bool write_stream(Stream stream, std::string_view text);

}  // namespace fabula
