#include <gtest/gtest.h>

#include <regex>

#include "serve/page.hpp"

namespace fabula::serve {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Page, IsOneFileWithItsStyleAndScripts) {
  const std::string html = make_page().html;
  EXPECT_EQ(html.rfind("<!doctype html>", 0), 0u);
  EXPECT_EQ(html.substr(html.size() - 8), "</html>\n");
  EXPECT_EQ(count(html, "<script"), 1u);
  EXPECT_EQ(count(html, "</script>"), 1u);
  EXPECT_EQ(count(html, "<style"), 1u);
  EXPECT_EQ(count(html, "{{"), 0u) << "a part of the page is missing";
  EXPECT_EQ(count(html, "\nimport "), 0u);
  EXPECT_EQ(count(html, "\nexport "), 0u);
  EXPECT_EQ(count(html, "\nclass Page {"), 1u);
}

TEST(Page, AsksNoOneElse) {
  const std::string html = make_page().html;
  EXPECT_EQ(count(html, "src="), 0u);
  EXPECT_EQ(count(html, "url("), 0u);
  EXPECT_EQ(count(html, "@import"), 0u);
  EXPECT_EQ(count(html, " style="), 0u) << "the policy allows no style within an element";
  EXPECT_EQ(count(html, "https://"), 0u);
  EXPECT_EQ(count(html, "http://"), count(html, "http://www.w3.org/2000/svg")) << "a name of SVG, not an address";
}

TEST(Page, HasAPolicyThatAllowsItAlone) {
  const Page page = make_page();
  std::smatch match;
  const std::regex nonce("^default-src 'none'; script-src 'nonce-([0-9a-f]{32})'; style-src 'nonce-([0-9a-f]{32})';");
  ASSERT_TRUE(std::regex_search(page.content_security_policy, match, nonce)) << page.content_security_policy;
  EXPECT_EQ(match[1], match[2]);
  EXPECT_EQ(count(page.html, "nonce=\"" + match[1].str() + "\""), 2u);
  EXPECT_EQ(count(page.content_security_policy, "unsafe"), 0u);
  EXPECT_NE(make_page().content_security_policy, page.content_security_policy) << "a nonce is used once";
}

}  // namespace
}  // namespace fabula::serve
