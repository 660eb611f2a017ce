#include "serve/page.hpp"

#include <fmt/format.h>

#include <random>
#include <string_view>

// By cmake/FabulaPage.cmake.
extern "C" const char fabula_page[], fabula_page_end[];

namespace fabula::serve {
namespace {

constexpr std::string_view kNonceMark = "{{nonce}}";

std::string new_nonce() {
  std::random_device random;
  std::string nonce;
  for (int i = 0; i < 4; ++i) nonce += fmt::format("{:08x}", random());
  return nonce;
}

}  // namespace

Page make_page() {
  const std::string nonce = new_nonce();
  std::string html(fabula_page, fabula_page_end);
  for (std::size_t at = 0; (at = html.find(kNonceMark, at)) != std::string::npos; at += nonce.size())
    html.replace(at, kNonceMark.size(), nonce);
  return {std::move(html),
          fmt::format("default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; img-src "
                      "data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                      nonce)};
}

}  // namespace fabula::serve
