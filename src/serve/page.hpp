#pragma once
#include <string>
#include <vector>

#include "serve/server.hpp"

namespace fabula::serve {

/// The page that a browser gets (src/serve/page), and the policy that goes with it: nothing from elsewhere, no style
/// or script but its own. Both hold a nonce, so they go together, to one request.
struct Page {
  std::string html;
  std::string content_security_policy;
};
Page make_page();

/// What the page needs beside the API: itself at /, POST /inspect, /about (the models, in words), and the reports of
/// runs at /report/NAME.
std::vector<Route> page_routes();

}  // namespace fabula::serve
