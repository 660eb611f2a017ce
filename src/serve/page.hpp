#pragma once
#include <string>

namespace fabula::serve {

/// The page that a browser gets (src/serve/page), and the policy that goes with it: nothing from elsewhere, no style
/// or script but its own. Both hold a nonce, so they go together, to one request.
struct Page {
  std::string html;
  std::string content_security_policy;
};
Page make_page();

/// The policy of a run's report, which has a style of its own and no scripts.
inline constexpr const char* kReportPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

}  // namespace fabula::serve
