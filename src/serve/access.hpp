#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.hpp"

// Who may ask: keys, and the pages that browsers send requests for.
namespace fabula::serve {

struct AccessOptions {
  std::string bound_host = "127.0.0.1";  ///< the address that the server listens on
  std::string key;                       ///< that requests must bring; empty: none
  std::vector<std::string> origins;      ///< beside loopback's, as http://host:port; "*": all
};

/// "127.0.0.1", "localhost", "::1" and their like, without a port.
bool is_loopback(std::string_view host);

/// Throws RequestError 403 for a Host that is not this server's (a name that was made to point at loopback, say), where
/// it listens on loopback alone, and for an Origin that is not allowed.
void check_origin(const AccessOptions& options, const HttpRequest& request);
/// Throws RequestError 401 where the key is missing or wrong.
void check_key(const AccessOptions& options, const HttpRequest& request);
/// What an allowed Origin is told; nothing without one. `preflight`: OPTIONS.
HttpHeaders cors_headers(const HttpRequest& request, bool preflight);

}  // namespace fabula::serve
