#include "serve/page.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string_view>

#include "base/file_io.hpp"
#include "formats/json_access.hpp"
#include "serve/errors.hpp"
#include "serve/inspect.hpp"

// By cmake/FabulaPage.cmake.
extern "C" const char fabula_page[], fabula_page_end[];

namespace fabula::serve {
namespace {

constexpr std::string_view kNonceMark = "{{nonce}}";
constexpr std::string_view kReportPath = "/report/";
constexpr const char* kHtml = "text/html; charset=utf-8";
/// A report has a style of its own and no scripts.
constexpr const char* kReportPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

std::string new_nonce() {
  std::random_device random;
  std::string nonce;
  for (int i = 0; i < 4; ++i) nonce += fmt::format("{:08x}", random());
  return nonce;
}

HttpAnswer html_answer(std::string html, std::string policy) {
  return {.type = kHtml,
          .body = std::move(html),
          .headers = {{"Content-Security-Policy", std::move(policy)},
                      {"Cache-Control", "no-store"},
                      {"Referrer-Policy", "no-referrer"},
                      {"X-Content-Type-Options", "nosniff"}}};
}

std::filesystem::path report_of(const ServedModel& model) {
  return model.path / "report.html";
}

/// {"reports": [names of the models that have one]}
HttpAnswer reports(const Service& service) {
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (const ServedModel& model : service.models())
    if (std::filesystem::exists(report_of(model))) names.push_back(model.name);
  return {.body = dump_json(nlohmann::ordered_json{{"reports", std::move(names)}})};
}

HttpAnswer report(const Service& service, const std::string& path) {
  const std::string name = path.substr(kReportPath.size());
  for (const ServedModel& model : service.models())
    if (model.name == name && std::filesystem::exists(report_of(model)))
      return html_answer(read_file(report_of(model)), kReportPolicy);
  throw RequestError(404, fmt::format("there is no report of a model \"{}\"", name));
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

std::vector<Route> page_routes() {
  const auto page = [](const Call&) {
    Page made = make_page();
    return html_answer(std::move(made.html), std::move(made.content_security_policy));
  };
  return {{"GET", "/", page, true},
          {"GET", "/reports", [](const Call& call) { return reports(call.service()); }},
          {"GET", std::string(kReportPath) + "*",
           [](const Call& call) { return report(call.service(), call.request.path); }},
          {"POST", "/inspect", [](const Call& call) -> HttpAnswer {
             return {.body = answer_inspect(call.service(), call.request.body, call.peer)};
           }}};
}

}  // namespace fabula::serve
