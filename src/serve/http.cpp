#include "serve/http.hpp"

#include <httplib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/socket.hpp"

// Debian 12 has cpp-httplib 0.11.4. Its own loop over a connection bounds neither the head, nor a body that comes in
// chunks, nor the time that a request takes, and does not tell whether the peer is still there while an answer is
// being made. So the connection is our own here, and it is the library's from the first byte of a request to the last
// of its answer.
namespace fabula::serve {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kLongestPath = 1024;  // the library matches paths by std::regex, which recurses along them
constexpr int kBacklog = 512;
constexpr milliseconds kStopPoll(100);
constexpr std::size_t kMostDrained = 4 << 20;  // bytes of a refused body that are read, so that the answer arrives
constexpr milliseconds kDrain(1000);
constexpr std::size_t kBufferBytes = 16 << 10;
constexpr std::size_t kSlowestReader = 16 << 10;  // bytes a second

bool equal(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

HttpRequest request_of(const httplib::Request& from) {
  HttpRequest request{.method = from.method, .path = from.path, .body = from.body, .headers = {}};
  for (const auto& [name, value] : from.headers) request.headers.emplace_back(name, value);
  const std::string_view length = request.header("Content-Length");
  request.has_body = (!length.empty() && length != "0") || request.has_header("Transfer-Encoding");
  return request;
}

/// Values come decoded, so that line ends can stand in them.
bool has_control_bytes(const HttpRequest& request) {
  const auto control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; };
  return std::any_of(request.headers.begin(), request.headers.end(), [&](const auto& header) {
    return std::any_of(header.second.begin(), header.second.end(), control);
  });
}

/// Is it clear where the body ends, and whom the request is for?
bool has_clear_length(const HttpRequest& request) {
  const auto count = [&](std::string_view name) {
    return std::count_if(request.headers.begin(), request.headers.end(),
                         [&](const auto& header) { return equal(header.first, name); });
  };
  const auto lengths = count("Content-Length"), codings = count("Transfer-Encoding");
  if (count("Host") > 1 || lengths + codings > 1) return false;
  return codings == 0 || equal(request.header("Transfer-Encoding"), "chunked");
}

/// Told how many bytes are to be taken next.
using Expect = std::function<void(std::size_t bytes)>;

void write_answer(HttpAnswer answer, bool old_http, const Expect& expect, httplib::Response& to) {
  to.status = answer.status;
  for (const auto& [name, value] : answer.headers) to.set_header(name, value);
  expect(answer.body.size());
  if (answer.stream) {
    const auto run = [stream = std::move(answer.stream), expect](std::size_t, httplib::DataSink& sink) {
      stream([&](std::string_view piece) {
        expect(piece.size());
        return sink.write(piece.data(), piece.size());
      });
      sink.done();
      return true;
    };
    // HTTP/1.0 has no chunks: there the end of the connection is the end of the body.
    if (old_http)
      to.set_content_provider(answer.type, run);
    else
      to.set_chunked_content_provider(answer.type, run);
  } else if (!answer.type.empty()) {
    to.set_content(std::move(answer.body), answer.type);
  }
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (equal(key, name)) return value;
  return {};
}

bool HttpRequest::has_header(std::string_view name) const {
  return std::any_of(headers.begin(), headers.end(), [&](const auto& entry) { return equal(entry.first, name); });
}

/// One connection, with bounds on what a request may take.
class HttpServer::Connection : public httplib::Stream, public HttpPeer {
 public:
  Connection(Socket socket, const HttpOptions& options) : socket_(socket), options_(options) {
    make_nonblocking(socket_);
  }

  void begin_request() {
    deadline_ = Clock::now() + options_.request;
    taken_ = 0, in_body_ = false, refused_ = 0, must_close_ = false;
    taken_by_ = Clock::time_point::max();
  }
  /// So many bytes have to be taken within the time for an answer, or at kSlowestReader: a reader that takes one now
  /// and then would keep its thread.
  void expect(std::size_t bytes) {
    taken_by_ = Clock::now() + options_.write + std::chrono::seconds(bytes / kSlowestReader);
  }
  void begin_body() { taken_ = 0, in_body_ = true; }
  bool has_buffered() const { return at_ < filled_; }
  int refused() const { return refused_; }  ///< the status that fits what went wrong; 0: nothing
  void close_after() { must_close_ = true; }
  bool must_close() const { return must_close_ || refused_ != 0; }

  bool is_there() const override { return peer_is_there(socket_); }

  bool is_readable() const override {
    return has_buffered() || wait_until_ready(socket_, SocketUse::kReading, options_.read);
  }
  bool is_writable() const override {
    return wait_until_ready(socket_, SocketUse::kWriting, options_.write) && is_there();
  }

  ssize_t read(char* to, std::size_t size) override {
    if (!has_buffered() && !fill()) return -1;
    const std::size_t limit = in_body_ ? options_.most_body + options_.most_head : options_.most_head;
    if (taken_ >= limit) {
      refused_ = in_body_ ? 413 : 431;
      return -1;
    }
    const std::size_t n = std::min({size, filled_ - at_, limit - taken_});
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), n, to);
    at_ += n, taken_ += n;
    return static_cast<ssize_t>(n);
  }

  ssize_t write(const char* from, std::size_t size) override {
    while (size > 0) {
      const auto left = std::chrono::duration_cast<milliseconds>(taken_by_ - Clock::now());
      if (left.count() <= 0 || !wait_until_ready(socket_, SocketUse::kWriting, std::min(left, options_.write)))
        return -1;
      const std::ptrdiff_t n = send_some(socket_, {from, size});
      if (n != 0) return n;
    }
    return 0;
  }

  // Nobody asks for addresses.
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  socket_t socket() const override { return static_cast<socket_t>(socket_); }

  /// Says that no more is coming and reads a little of what still comes: a socket closed on unread bytes would take
  /// the answer back.
  void close_gently() {
    end_socket(socket_, SocketSide::kSending);
    const Clock::time_point end = Clock::now() + kDrain;
    for (std::size_t drained = 0; drained < kMostDrained && Clock::now() < end;) {
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      if (!wait_until_ready(socket_, SocketUse::kReading, left)) break;
      const std::ptrdiff_t n = receive_some(socket_, buffer_.data(), buffer_.size());
      if (n <= 0) break;
      drained += static_cast<std::size_t>(n);
    }
  }

 private:
  bool fill() {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0 || !wait_until_ready(socket_, SocketUse::kReading, std::min(left, options_.read))) {
      refused_ = 408;
      return false;
    }
    const std::ptrdiff_t n = receive_some(socket_, buffer_.data(), buffer_.size());
    if (n <= 0) return false;
    at_ = 0, filled_ = static_cast<std::size_t>(n);
    return true;
  }

  Socket socket_;
  const HttpOptions& options_;
  std::array<char, kBufferBytes> buffer_;
  std::size_t at_ = 0, filled_ = 0;
  Clock::time_point deadline_, taken_by_ = Clock::time_point::max();
  std::size_t taken_ = 0;  // bytes of the head, then of the body
  bool in_body_ = false, must_close_ = false;
  int refused_ = 0;
};

class HttpServer::Server : public httplib::Server {
 public:
  Server(const HttpOptions& options, HttpHandlers handlers) : options_(options), handlers_(std::move(handlers)) {
    new_task_queue = [threads = options_.threads] { return new httplib::ThreadPool(threads); };
    set_tcp_nodelay(true);
    // The port is free again at once; two servers on one port are an error, which the library's default hides.
    set_socket_options([](socket_t socket) { claim_port_alone(static_cast<Socket>(socket)); });
    set_keep_alive_max_count(1000);
    set_payload_max_length(options_.most_body);
    set_keep_alive_timeout(std::max<time_t>(options_.keep_alive.count() / 1000, 1));
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& answer) {
      return gate(request, answer) ? HandlerResponse::Handled : HandlerResponse::Unhandled;
    });
    Post("/.*", [this](const httplib::Request& request, httplib::Response& answer) {
      write_answer(handlers_.answer(request_of(request), *connection_), request.version == "HTTP/1.0", expecting(),
                   answer);
    });
    set_error_handler(HandlerWithResponse([this](const httplib::Request& request, httplib::Response& answer) {
      if (!answer.body.empty() || answer.status < 400) return HandlerResponse::Unhandled;
      if (connection_->refused() != 0) answer.status = connection_->refused();
      connection_->close_after();
      answer.set_header("Connection", "close");
      write_answer(handlers_.refuse(answer.status), request.version == "HTTP/1.0", expecting(), answer);
      return HandlerResponse::Handled;
    }));
    set_exception_handler(
        [this](const httplib::Request& request, httplib::Response& answer, std::exception_ptr thrown) {
          log_exception(thrown);
          write_answer(handlers_.refuse(500), request.version == "HTTP/1.0", expecting(), answer);
        });
    port_ = options_.port;
    if (options_.port == 0)
      port_ = bind_to_any_port(options_.host);
    else if (!bind_to_port(options_.host, options_.port))
      port_ = -1;
    if (port_ < 0)
      fail(ErrorCode::kIo,
           "cannot listen on {} port {}: {}; is another server there, or the address not this machine's?",
           options_.host, options_.port, socket_reason());
    set_backlog(static_cast<Socket>(svr_sock_), kBacklog);  // the library's backlog is 5
  }

  ~Server() override { stop_within(milliseconds(0)); }

  int port() const { return port_; }

  void start() {
    thread_ = std::thread([this] { listen_after_bind(); });
    wait_until_running();
  }

  void stop_within(milliseconds grace) {
    stopping_ = true;
    if (is_running()) stop();
    const Clock::time_point end = Clock::now() + grace;
    while (connections() > 0 && Clock::now() < end) std::this_thread::sleep_for(milliseconds(10));
    {
      const std::lock_guard lock(mutex_);
      for (const Socket socket : open_) end_socket(socket, SocketSide::kBoth);
    }
    if (thread_.joinable()) thread_.join();
  }

  std::size_t connections() const {
    const std::lock_guard lock(mutex_);
    return open_.size();
  }

 private:
  static Expect expecting() {
    return [connection = connection_](std::size_t bytes) { connection->expect(bytes); };
  }

  static void log_exception(const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      log_warn(fmt::format("a request failed: {}", error.what()));
    } catch (...) {
      log_warn("a request failed");
    }
  }

  void wait_until_running() const {
    while (!is_running()) std::this_thread::sleep_for(milliseconds(1));
  }

  bool process_and_close_socket(socket_t accepted) override {
    const auto socket = static_cast<Socket>(accepted);
    {
      const std::lock_guard lock(mutex_);
      open_.insert(socket);
    }
    try {
      serve(socket);
    } catch (...) {  // bad_alloc outside of any handler, say
      connection_ = nullptr;
      log_exception(std::current_exception());
    }
    {
      const std::lock_guard lock(mutex_);
      open_.erase(socket);
    }
    close_socket(socket);
    return true;
  }

  void serve(Socket socket) {
    Connection connection(socket, options_);
    connection_ = &connection;
    while (wait_for_request(connection)) {
      connection.begin_request();
      bool closed = false;
      const bool went_well = process_request(connection, stopping_, closed, [](httplib::Request& request) {
        request.ranges.clear();  // else the library cuts answers to pieces, errors as well
      });
      if (!went_well || closed || connection.must_close()) break;
    }
    connection_ = nullptr;
    connection.close_gently();
  }

  bool wait_for_request(const Connection& connection) const {
    const Clock::time_point end = Clock::now() + options_.keep_alive;
    while (!connection.has_buffered() && !stopping_ && Clock::now() < end)
      if (wait_until_ready(static_cast<Socket>(connection.socket()), SocketUse::kReading, kStopPoll)) return true;
    return connection.has_buffered() && !stopping_;
  }

  /// Whether the request is answered without its body.
  bool gate(const httplib::Request& from, httplib::Response& to) {
    connection_->begin_body();
    const HttpRequest request = request_of(from);
    std::optional<HttpAnswer> answer;
    if (from.path.size() > kLongestPath) {
      answer = handlers_.refuse(414);
    } else if (has_control_bytes(request) || !has_clear_length(request)) {
      answer = handlers_.refuse(400);
      connection_->close_after();
      answer->headers.emplace_back("Connection", "close");
    } else {
      answer = handlers_.gate(request, *connection_);
    }
    if (!answer && from.method != "POST") answer = handlers_.refuse(404);
    if (!answer) return false;
    if (request.has_body) {
      connection_->close_after();
      answer->headers.emplace_back("Connection", "close");
    }
    write_answer(std::move(*answer), from.version == "HTTP/1.0", expecting(), to);
    return true;
  }

  HttpOptions options_;
  HttpHandlers handlers_;
  int port_ = -1;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::set<Socket> open_;
  static thread_local Connection* connection_;  // of the request that this thread is at
};

thread_local HttpServer::Connection* HttpServer::Server::connection_ = nullptr;

HttpServer::HttpServer(const HttpOptions& options, HttpHandlers handlers)
    : server_(std::make_unique<Server>(options, std::move(handlers))) {}
HttpServer::~HttpServer() = default;

int HttpServer::port() const {
  return server_->port();
}
void HttpServer::start() {
  server_->start();
}
void HttpServer::stop(milliseconds grace) {
  server_->stop_within(grace);
}
std::size_t HttpServer::connections() const {
  return server_->connections();
}

}  // namespace fabula::serve
