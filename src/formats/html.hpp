#pragma once
#include <string>
#include <string_view>

namespace fabula {

/// Text made safe for HTML content and quoted attributes: markup characters become entities, bytes that are not UTF-8
/// and control characters (other than tab and newline) become U+FFFD.
std::string html_escape(std::string_view text);

}  // namespace fabula
