#pragma once
#include <string>
#include <string_view>

namespace fabula {

/// The text with what could command a terminal written out: control characters other than newline and tab as \x1b,
/// those of U+0080 to U+009F as \u009b, and bytes that are not UTF-8 as \xff.
std::string printable(std::string_view text);

}  // namespace fabula
