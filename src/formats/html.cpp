#include "formats/html.hpp"

#include <fmt/format.h>

#include <cstddef>

namespace fabula {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--page:#f6f5f2;--card:#fff;--ink:#1d2127;--soft:#636b76;--line:#e3e1db;--accent:#0f6b5c;
--series-0:#2563c9;--series-1:#d4660a;--series-2:#0f8a6d;--series-3:#8b46c1;
--series-4:#b3261e;--series-5:#6b7a08;--series-6:#0b7f9c;--series-7:#a8347f}
@media(prefers-color-scheme:dark){:root{--page:#14171b;--card:#1c2026;--ink:#e7e9ec;--soft:#98a1ad;--line:#2d333b;--accent:#5cc9b2;
--series-0:#79a9ff;--series-1:#f5a35c;--series-2:#5fd0b0;--series-3:#c79bf2;
--series-4:#f28b82;--series-5:#c5d14e;--series-6:#63c9e4;--series-7:#ee92cf}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 20px 56px}
header p{margin:4px 0 0;color:var(--soft)}
.brand{font-size:.78rem;letter-spacing:.12em;text-transform:uppercase;color:var(--accent);font-weight:600}
h1{font-size:1.9rem;line-height:1.2;margin:2px 0 0;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:40px 0 14px}
h3{font-size:.95rem;margin:0;font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:24px 0 0;padding:0;list-style:none}
.tiles li,.chart,.story,.facts,details.config{background:var(--card);border:1px solid var(--line);border-radius:10px}
.tiles li{padding:12px 16px}
.tiles span{display:block;font-size:.78rem;color:var(--soft)}
.tiles b{display:block;white-space:nowrap;font-size:1.4rem;line-height:1.3;font-weight:600;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.tiles small{font-size:.78rem;color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:14px}
.chart{margin:0;padding:14px 16px 8px;min-width:0}
.chart figcaption{display:flex;flex-wrap:wrap;gap:2px 16px;align-items:baseline;justify-content:space-between}
.chart figcaption p{flex-basis:100%;margin:0;font-size:.8rem;color:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;margin:0;padding:0;list-style:none;font-size:.8rem;color:var(--soft)}
.legend b{color:var(--ink);font-weight:600;font-variant-numeric:tabular-nums}
.legend i{display:inline-block;width:12px;height:3px;border-radius:2px;margin-right:6px;vertical-align:middle;background:var(--c)}
.c0{--c:var(--series-0)}.c1{--c:var(--series-1)}.c2{--c:var(--series-2)}.c3{--c:var(--series-3)}
.c4{--c:var(--series-4)}.c5{--c:var(--series-5)}.c6{--c:var(--series-6)}.c7{--c:var(--series-7)}
svg{display:block;width:100%;height:auto;margin-top:6px;overflow:visible}
svg text{font-size:12px;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .y{text-anchor:end}svg .x{text-anchor:middle}
.grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--soft);stroke-opacity:.6;stroke-width:1}
.line{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.band{fill:var(--c);fill-opacity:.16;stroke:none}
.front{fill:none;stroke:var(--accent);stroke-width:1.4;stroke-dasharray:5 4}.spread{stroke:var(--c);stroke-width:1.4}
svg .point{font-size:11px;fill:var(--ink)}
.dot{fill:var(--c);stroke:var(--card);stroke-width:1}.hover{fill:transparent}.hover:hover{fill:var(--c)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:0 28px;margin:0;padding:10px 18px}
.facts div{display:flex;gap:14px;justify-content:space-between;padding:6px 0;font-size:.9rem;min-width:0}
.facts dt{color:var(--soft);flex-shrink:0}.facts dd{margin:0;text-align:right;overflow-wrap:anywhere;min-width:0}
.story{margin:0 0 12px;padding:0}
.story summary,details.config summary{cursor:pointer;padding:10px 18px;font-size:.85rem;color:var(--soft)}
.story summary b{color:var(--ink);margin-right:8px}
.story blockquote{margin:0;padding:2px 18px 16px;max-width:75ch;font:1.04rem/1.65 Georgia,"Times New Roman","DejaVu Serif",serif;white-space:pre-wrap;overflow-wrap:anywhere}
.story em{font-style:normal;color:var(--accent)}
details.config{margin-top:12px}
pre{margin:0;padding:0 18px 16px;font:.8rem/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;overflow-x:auto}
.table{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:6px 12px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child,.text{text-align:left}tr:last-child td{border-bottom:0}
.none{color:var(--soft)}
@media print{body{background:#fff}.chart,.story{break-inside:avoid}}
)";

bool is_continuation(unsigned char byte) {
  return (byte & 0xC0) == 0x80;
}

// Bytes of the well-formed UTF-8 character at `at` (Unicode table 3-7); 0 when there is none.
std::size_t character_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const unsigned first = byte(0);
  const unsigned second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return is_continuation(second) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;  // no surrogates
    return second >= low && second <= high && is_continuation(byte(2)) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return second >= low && second <= high && is_continuation(byte(2)) && is_continuation(byte(3)) ? 4 : 0;
  }
  return 0;
}

std::string_view entity(char character) {
  switch (character) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_length(text, at);
    const char character = text[at];
    const bool control =
        length == 1 &&
        ((static_cast<unsigned char>(character) < 0x20 && character != '\n' && character != '\t') || character == 0x7F);
    if (length == 0 || control) {
      result += kReplacement;
    } else if (const std::string_view escaped = entity(character); !escaped.empty()) {
      result += escaped;
    } else {
      result += text.substr(at, length);
    }
    at += length == 0 ? 1 : length;
  }
  return result;
}

std::string html_page_start(std::string_view brand, std::string_view title, std::string_view subtitle,
                            std::string_view meta) {
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n{}<title>{} - "
      "fabula</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n"
      "<header><div class=\"brand\">{}</div><h1>{}</h1>",
      meta, html_escape(title), kStyle, html_escape(brand), html_escape(title));
  if (!subtitle.empty()) page += fmt::format("<p>{}</p>", html_escape(subtitle));
  return page + "</header>\n";
}

}  // namespace fabula
