#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "serve/access.hpp"
#include "serve/http.hpp"
#include "serve/service.hpp"

namespace fabula::serve {

/// One request as a route gets it.
struct Call {
  const HttpRequest& request;
  const HttpPeer& peer;
  Service* loaded;  ///< null while models are loaded
  /// Throws RequestError 503 while they are.
  Service& service() const;
};

/// Something that is answered under a path. What is no part of the API is added to a server so: the page, say.
struct Route {
  std::string method;  ///< GET or POST; what answers GET answers HEAD
  std::string path;    ///< one that ends with '*' takes all that begin so
  /// RequestError and Error that it throws become answers.
  std::function<HttpAnswer(const Call&)> answer;
  bool open = false;  ///< needs no key
};

struct ServerOptions {
  HttpOptions http;  ///< threads: as many as the service's slots and queue ask for, at least
  AccessOptions access;
  std::chrono::milliseconds grace{10000};  ///< that texts under way have when the server stops
};

class Server {
 public:
  /// Binds; answers 503 until it is given a service. Throws kIo where the address cannot be had.
  Server(const ServerOptions& options, std::vector<Route> more_routes = {});
  ~Server();

  int port() const { return http_->port(); }
  /// Takes over; requests are answered from here on.
  void serve(std::unique_ptr<Service> service);
  /// The service that serve() was given.
  Service& service();
  /// Takes no more texts (503), lets those under way end within the grace, tells the readers of others an error, and
  /// closes.
  void stop();

 private:
  std::vector<Route> own_routes();
  std::optional<HttpAnswer> gate(const HttpRequest& request, const HttpPeer& peer);
  const Route& route_of(const HttpRequest& request) const;
  HttpAnswer run(const Route& route, const HttpRequest& request, const HttpPeer& peer);
  HttpAnswer refusal(const Error& error) const;
  HttpAnswer finished(HttpAnswer answer, const HttpRequest* request, bool preflight = false);
  HttpAnswer health(const Call& call) const;
  HttpAnswer metrics(const Call& call) const;

  ServerOptions options_;
  std::vector<Route> routes_;
  std::unique_ptr<Service> service_;
  std::atomic<Service*> ready_ = nullptr;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> next_request_ = 1;
  mutable std::mutex mutex_;
  std::map<int, std::uint64_t> answers_;  ///< by status
  std::unique_ptr<HttpServer> http_;
};

}  // namespace fabula::serve
