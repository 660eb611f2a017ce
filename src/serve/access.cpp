#include "serve/access.hpp"

#include <algorithm>
#include <cctype>

#include "serve/errors.hpp"

namespace fabula::serve {
namespace {

constexpr std::string_view kBearer = "bearer ";  // in whatever case

/// A name without its port: "host:80", "[::1]:80", "::1".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(1, end - 1);
  }
  const std::size_t colon = host.find(':');
  return colon == host.rfind(':') ? host.substr(0, colon) : host;
}

/// "host:port" of "http://host:port"; empty for what is no such origin.
std::string_view host_of(std::string_view origin) {
  const std::size_t scheme = origin.find("://");
  return scheme == std::string_view::npos ? std::string_view() : origin.substr(scheme + 3);
}

/// Takes as long whatever the texts have in common.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
  unsigned difference = a.size() != b.size();
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  return difference == 0;
}

/// An address of IPv4 or IPv6 rather than a name.
bool is_address(std::string_view name) {
  return !name.empty() &&
         (name.find(':') != std::string_view::npos || name.find_first_not_of("0123456789.") == std::string_view::npos);
}

std::string_view bearer_of(std::string_view header) {
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  const bool bears = header.size() >= kBearer.size() && std::equal(kBearer.begin(), kBearer.end(), header.begin(),
                                                                   [&](char b, char a) { return same(a, b); });
  return bears ? header.substr(kBearer.size()) : std::string_view();
}

/// Names of headers, which are echoed.
bool is_list_of_names(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == ',' || c == ' ';
  });
}

}  // namespace

bool is_loopback(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "::1" || host == "127.0.0.1" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

void check_origin(const AccessOptions& options, const HttpRequest& request) {
  const std::string_view host = request.header("Host"), origin = request.header("Origin");
  const std::string_view name = without_port(host);
  if (is_loopback(options.bound_host) && !host.empty() && !is_loopback(name) && name != options.bound_host)
    throw RequestError(403, "the Host header names another server; this one answers to localhost alone", {},
                       "host_not_allowed");
  if (origin.empty()) return;
  const std::string_view from = host_of(origin);
  const auto listed = [&](const std::string& entry) { return entry == "*" || entry == origin; };
  if (std::any_of(options.origins.begin(), options.origins.end(), listed)) return;
  // A page of the server itself, or of this machine. A name that anyone can let point here proves nothing.
  const bool known = is_loopback(name) || name == options.bound_host || is_address(name);
  if (!from.empty() && ((from == host && known) || is_loopback(without_port(from)))) return;
  throw RequestError(403, "pages of this Origin may not use the server; start it with --cors-origin to let them", {},
                     "origin_not_allowed");
}

void check_key(const AccessOptions& options, const HttpRequest& request) {
  if (options.key.empty()) return;
  std::string_view given = bearer_of(request.header("Authorization"));
  if (given.empty()) given = request.header("X-Api-Key");
  if (!equal_in_constant_time(given, options.key))
    throw RequestError(401, "the API key is missing or wrong; send it as Authorization: Bearer KEY", {},
                       "invalid_api_key");
}

HttpHeaders cors_headers(const HttpRequest& request, bool preflight) {
  const std::string origin(request.header("Origin"));
  HttpHeaders headers{{"Vary", "Origin"}};
  if (origin.empty()) return headers;
  headers.emplace_back("Access-Control-Allow-Origin", origin);
  headers.emplace_back("Access-Control-Expose-Headers", "x-request-id");
  if (!preflight) return headers;
  std::string names = "*, Authorization, Content-Type";
  if (const std::string_view asked = request.header("Access-Control-Request-Headers");
      !asked.empty() && is_list_of_names(asked))
    names += ", " + std::string(asked);
  headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  headers.emplace_back("Access-Control-Allow-Headers", names);
  headers.emplace_back("Access-Control-Max-Age", "600");
  return headers;
}

}  // namespace fabula::serve
