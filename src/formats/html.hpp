#pragma once
#include <string>
#include <string_view>

namespace fabula {

/// Text made safe for HTML content and quoted attributes: markup characters become entities, bytes that are not UTF-8
/// and control characters (other than tab and newline) become U+FFFD.
std::string html_escape(std::string_view text);

/// A page up to its content: one without scripts or anything from elsewhere, light and dark, wide and narrow,
/// printable. `brand` says what kind of page it is; `meta` are further elements of its head, as they are.
std::string html_page_start(std::string_view brand, std::string_view title, std::string_view subtitle,
                            std::string_view meta = {});
inline constexpr std::string_view kHtmlPageEnd = "</main>\n</body>\n</html>\n";

}  // namespace fabula
