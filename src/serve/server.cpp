#include "serve/server.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "serve/errors.hpp"
#include "serve/model_api.hpp"
#include "serve/text_api.hpp"

namespace fabula::serve {
namespace {

constexpr std::chrono::milliseconds kLastWords(2000);  // that answers have to be read once no text is under way

bool takes(const Route& route, const std::string& path) {
  if (!route.path.ends_with('*')) return route.path == path;
  const std::string_view begin = std::string_view(route.path).substr(0, route.path.size() - 1);
  return path.size() > begin.size() && path.starts_with(begin);
}

bool same_method(const Route& route, const std::string& method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

/// Types other than JSON are what forms and scripts of other pages may send without asking first.
void check_type(const HttpRequest& request) {
  const std::string_view type = request.header("Content-Type");
  if (!type.empty() && !type.starts_with("application/json"))
    throw RequestError(415, "the body is not JSON; send it as Content-Type: application/json");
  const std::string_view coding = request.header("Content-Encoding");
  if (!coding.empty() && coding != "identity") throw RequestError(415, "the body is compressed; send it as it is");
}

void check_length(const HttpRequest& request, std::size_t most) {
  const std::string_view text = request.header("Content-Length");
  std::size_t length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') throw RequestError(400, "the Content-Length is not a number");
    length = std::min<std::size_t>(10 * length + static_cast<std::size_t>(c - '0'), SIZE_MAX / 16);
  }
  if (length > most)
    throw RequestError(413, fmt::format("the body has {} bytes, at most {} are read; send less", length, most));
}

std::string refused_words(int status) {
  switch (status) {
    case 404:
      return "there is nothing under this path; /v1/models and /v1/completions are among those there are";
    case 408:
      return "the request took too long to arrive; send it at once";
    case 413:
      return "the body is larger than the server reads; send less";
    case 414:
      return "the path is too long";
    case 431:
      return "the headers are larger than the server reads; send fewer";
    case 500:
      return "something went wrong in the server; its log says more";
    default:
      return "this is not a request that HTTP/1.1 knows";
  }
}

HttpOptions with_threads(HttpOptions http) {
  http.threads = std::max<std::size_t>(http.threads, 8);
  return http;
}

}  // namespace

Service& Call::service() const {
  if (loaded == nullptr)
    throw RequestError(503, "the model is still being loaded; ask again in a moment", {}, "loading");
  return *loaded;
}

Server::Server(const ServerOptions& options, std::vector<Route> more_routes)
    : options_(options), routes_(own_routes()) {
  std::move(more_routes.begin(), more_routes.end(), std::back_inserter(routes_));
  options_.access.bound_host = options_.http.host;
  HttpHandlers handlers{
      .gate = [this](const HttpRequest& request, const HttpPeer& peer) { return gate(request, peer); },
      .answer =
          [this](const HttpRequest& request, const HttpPeer& peer) {
            try {
              return finished(run(route_of(request), request, peer), &request);
            } catch (const Error& error) {
              return finished(refusal(error), &request);
            }
          },
      .refuse =
          [this](int status) {
            return finished({.status = status, .body = error_json(status, refused_words(status))}, nullptr);
          }};
  http_ = std::make_unique<HttpServer>(with_threads(options_.http), std::move(handlers));
  http_->start();
}

Server::~Server() {
  options_.grace = std::chrono::milliseconds(0);
  stop();
}

void Server::serve(std::unique_ptr<Service> service) {
  service_ = std::move(service);
  ready_ = service_.get();
}

Service& Server::service() {
  return *service_;
}

void Server::stop() {
  stopping_ = true;
  if (service_) service_->engine().stop(options_.grace);
  http_->stop(kLastWords);
}

std::vector<Route> Server::own_routes() {
  const auto completions = [](const Call& call) { return answer_completion(call.service(), call.request, call.peer); };
  const auto chats = [](const Call& call) { return answer_chat(call.service(), call.request, call.peer); };
  const auto health_of = [this](const Call& call) { return health(call); };
  return {{"GET", "/health", health_of, true},
          {"GET", "/v1/health", health_of, true},
          {"GET", "/metrics", [this](const Call& call) { return metrics(call); }},
          {"GET", "/v1/models", list_models},
          {"GET", "/models", list_models},
          {"GET", "/v1/models/*", one_model},
          {"GET", "/models/*", one_model},
          {"POST", "/v1/completions", completions},
          {"POST", "/completions", completions},
          {"POST", "/v1/chat/completions", chats},
          {"POST", "/chat/completions", chats},
          {"POST", "/tokenize", tokenize},
          {"POST", "/detokenize", detokenize}};
}

const Route& Server::route_of(const HttpRequest& request) const {
  std::string methods;
  for (const Route& route : routes_) {
    if (!takes(route, request.path)) continue;
    if (same_method(route, request.method)) return route;
    methods += (methods.empty() ? "" : ", ") + route.method;
  }
  if (methods.empty()) throw RequestError(404, refused_words(404));
  throw RequestError(405, fmt::format("this path takes {}, not {}", methods, request.method), {}, methods);
}

std::optional<HttpAnswer> Server::gate(const HttpRequest& request, const HttpPeer& peer) {
  bool origin_checked = false;
  try {
    check_origin(options_.access, request);
    origin_checked = true;
    if (request.method == "OPTIONS") return finished({.status = 204, .type = {}}, &request, true);
    const Route& route = route_of(request);
    if (!route.open) check_key(options_.access, request);
    if (route.method == "GET") return finished(run(route, request, peer), &request);
    if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding"))
      throw RequestError(400, "the request has no body; send JSON, with its Content-Length");
    check_type(request);
    check_length(request, options_.http.most_body);
    return std::nullopt;
  } catch (const Error& error) {
    return finished(refusal(error), origin_checked ? &request : nullptr);
  }
}

HttpAnswer Server::run(const Route& route, const HttpRequest& request, const HttpPeer& peer) {
  return route.answer({request, peer, ready_});
}

HttpAnswer Server::refusal(const Error& error) const {
  HttpAnswer answer{.status = error_status(error), .body = error_json(error)};
  if (answer.status == 500) log_warn(error.what());
  if (answer.status == 401) answer.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (answer.status == 429 || answer.status == 503) answer.headers.emplace_back("Retry-After", "1");
  if (const auto* own = dynamic_cast<const RequestError*>(&error); own != nullptr && answer.status == 405) {
    answer.headers.emplace_back("Allow", own->short_name());
    answer.body = error_json(405, own->what(), {}, "method_not_allowed");
  }
  return answer;
}

HttpAnswer Server::finished(HttpAnswer answer, const HttpRequest* request, bool preflight) {
  answer.headers.emplace_back("x-request-id", fmt::format("req-{:08x}", next_request_++));
  answer.headers.emplace_back("Server", "fabula/" FABULA_VERSION);
  if (request != nullptr)
    for (auto& header : cors_headers(*request, preflight)) answer.headers.push_back(std::move(header));
  const std::lock_guard lock(mutex_);
  ++answers_[answer.status];
  return answer;
}

HttpAnswer Server::health(const Call& call) const {
  Service& service = call.service();
  if (stopping_) throw_refusal(infer::Engine::Refusal::kStopping);
  throw_refusal(service.engine().state());
  return {.body = "{\"status\":\"ok\"}"};
}

HttpAnswer Server::metrics(const Call& call) const {
  const infer::EngineCounts counts = call.service().engine().counts();
  std::string text;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    text += fmt::format("# HELP fabula_{0} {1}\n# TYPE fabula_{0} {2}\nfabula_{0} {3}\n", name, help, type, value);
  };
  add("prompt_tokens_total", "counter", "Tokens of prompts that were read.", counts.prompt_tokens);
  add("written_tokens_total", "counter", "Tokens that were drawn.", counts.written_tokens);
  add("texts_total", "counter", "Texts that were written to their end.", counts.texts);
  add("cancelled_total", "counter", "Texts whose readers went away.", counts.cancelled);
  add("submissions_total", "counter", "Submissions of steps to the device.", counts.submissions);
  add("requests_waiting", "gauge", "Requests with texts that wait for a slot.", counts.waiting);
  add("texts_running", "gauge", "Texts that are being written.", counts.running);
  add("slots", "gauge", "Texts that can be written side by side.", counts.slots);
  add("connections", "gauge", "Connections that are open.", http_->connections());
  text += "# HELP fabula_answers_total Answers by status.\n# TYPE fabula_answers_total counter\n";
  const std::lock_guard lock(mutex_);
  for (const auto& [status, count] : answers_)
    text += fmt::format("fabula_answers_total{{status=\"{}\"}} {}\n", status, count);
  return {.type = "text/plain; version=0.0.4", .body = text};
}

}  // namespace fabula::serve
