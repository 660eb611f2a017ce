#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// HTTP/1.1, as far as the server needs it. cpp-httplib stands behind it, in http.cpp alone.
namespace fabula::serve {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method, path;  ///< the path decoded and without its query
  std::string body;
  HttpHeaders headers;
  bool has_body = false;                                 ///< one is announced; the gate sees this alone
  std::string_view header(std::string_view name) const;  ///< whatever its case; empty where it is missing
  bool has_header(std::string_view name) const;
};

/// Whoever asked, while the request is answered.
class HttpPeer {
 public:
  virtual ~HttpPeer() = default;
  /// Does it still listen? One that has closed its side does not.
  virtual bool is_there() const = 0;
};

struct HttpAnswer {
  int status = 200;
  std::string type = "application/json";  ///< empty: no body
  std::string body = {};
  HttpHeaders headers = {};
  /// Writes the body piece by piece instead, each sent at once. `write` is false when nobody reads any more, or too
  /// slowly.
  using Write = std::function<bool(std::string_view)>;
  std::function<void(const Write& write)> stream = {};
};

struct HttpHandlers {
  /// Called before the body is read. An answer here ends the request, and the connection where a body is left unread.
  std::function<std::optional<HttpAnswer>(const HttpRequest&, const HttpPeer&)> gate;
  std::function<HttpAnswer(const HttpRequest&, const HttpPeer&)> answer;
  /// The answer to what is no request or one beyond the limits: 400, 408, 413, 414, 431; 404 and 500 as well.
  std::function<HttpAnswer(int status)> refuse;
};

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 0;                                ///< 0: one that is free
  std::size_t threads = 64;                    ///< connections that are served side by side
  std::size_t most_body = 1 << 20;             ///< bytes
  std::size_t most_head = 32 << 10;            ///< bytes of request line and headers
  std::chrono::milliseconds keep_alive{2000};  ///< that an idle connection is kept
  std::chrono::milliseconds read{10000};       ///< until more of a request must have come
  std::chrono::milliseconds request{30000};    ///< until all of it must have come
  std::chrono::milliseconds write{30000};      ///< until more of an answer must have been taken
};

class HttpServer {
 public:
  /// Binds the address. Throws kIo naming it.
  HttpServer(const HttpOptions& options, HttpHandlers handlers);
  ~HttpServer();  ///< stop(0)

  int port() const;
  void start();  ///< a thread that accepts connections
  /// Accepts no more; answers under way have `grace` to get through.
  void stop(std::chrono::milliseconds grace);
  std::size_t connections() const;

 private:
  class Server;
  class Connection;
  std::unique_ptr<Server> server_;
};

}  // namespace fabula::serve
