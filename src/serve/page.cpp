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

/// {"models": [{"id", "description", "context", "report": is there one?}]}
HttpAnswer about(const Service& service) {
  nlohmann::ordered_json models = nlohmann::ordered_json::array();
  for (const ServedModel& model : service.models())
    models.push_back({{"id", model.name},
                      {"description", models::describe(model.folder->model())},
                      {"context", model.session->context()},
                      {"report", std::filesystem::exists(report_of(model))}});
  return {.body = dump_json(nlohmann::ordered_json{{"models", std::move(models)}})};
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
  const auto page = [] {
    Page made = make_page();
    return html_answer(std::move(made.html), std::move(made.content_security_policy));
  };
  return {{.method = "GET", .path = "/", .answer = {}, .open = true, .while_loading = true, .from_server = page},
          {.method = "GET",
           .path = "/about",
           .answer = [](Service& service, const HttpRequest&, const HttpPeer&) { return about(service); }},
          {.method = "GET",
           .path = std::string(kReportPath) + "*",
           .answer = [](Service& service, const HttpRequest& request,
                        const HttpPeer&) { return report(service, request.path); }},
          {.method = "POST",
           .path = "/inspect",
           .answer = [](Service& service, const HttpRequest& request, const HttpPeer&) -> HttpAnswer {
             return {.body = answer_inspect(service, request.body)};
           }}};
}

}  // namespace fabula::serve
