#include "serve/http_client.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/fail.hpp"

namespace fabula::serve {
namespace {

/// The body behind "size in hex, body, ..." as far as it came.
bool join_chunks(std::string_view chunks, std::string& body) {
  while (true) {
    const std::size_t end = chunks.find("\r\n");
    if (end == std::string_view::npos) return false;
    std::size_t size = 0;
    if (std::from_chars(chunks.data(), chunks.data() + end, size, 16).ec != std::errc()) return false;
    if (size == 0) return true;
    chunks.remove_prefix(end + 2);
    body += chunks.substr(0, size);
    if (chunks.size() < size + 2) return false;
    chunks.remove_prefix(size + 2);
  }
}

}  // namespace

ClientConnection::ClientConnection(int port, int buffer) : socket_(connect_to_this_machine(port, buffer)) {
  if (socket_ == kNoSocket) fail(ErrorCode::kIo, "no connection to port {} of this machine", port);
}

ClientConnection::~ClientConnection() {
  close_socket(socket_);
}

bool ClientConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::ptrdiff_t n = send_some(socket_, bytes);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string ClientConnection::receive(std::chrono::milliseconds wait) {
  if (!wait_until_ready(socket_, SocketUse::kReading, wait)) return {};
  std::array<char, 1 << 14> buffer;
  const std::ptrdiff_t n = receive_some(socket_, buffer.data(), buffer.size());
  ended_ = n <= 0;
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

std::string request_bytes(std::string_view method, std::string_view path, std::string_view body,
                          const std::vector<std::string>& headers) {
  std::string bytes = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, path);
  for (const std::string& header : headers) bytes += header + "\r\n";
  if (method == "POST") bytes += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  return bytes + "\r\n" + std::string(body);
}

ClientReply parse_reply(std::string_view bytes, bool has_body) {
  ClientReply reply;
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos || !bytes.starts_with("HTTP/1.1 ")) return reply;
  reply.head = bytes.substr(0, end + 2);
  std::from_chars(bytes.data() + 9, bytes.data() + 12, reply.status);
  const std::string_view rest = bytes.substr(end + 4);
  if (reply.head.find("Transfer-Encoding: chunked") != std::string::npos && has_body) {
    reply.whole = join_chunks(rest, reply.body);
    return reply;
  }
  reply.body = rest;
  std::size_t length = 0;
  const std::size_t at = reply.head.find("Content-Length: ");
  if (at != std::string::npos)
    std::from_chars(reply.head.data() + at + 16, reply.head.data() + reply.head.size(), length);
  reply.whole = !has_body || rest.size() == length;
  return reply;
}

ClientReply ask(int port, std::string_view method, std::string_view path, std::string_view body,
                const std::vector<std::string>& headers, std::chrono::milliseconds wait) {
  ClientConnection connection(port);
  connection.send(request_bytes(method, path, body, headers));
  std::string bytes;
  const auto end = std::chrono::steady_clock::now() + wait;
  while (!connection.ended() && std::chrono::steady_clock::now() < end)
    bytes += connection.receive(std::chrono::milliseconds(200));
  return parse_reply(bytes, method != "HEAD");
}

}  // namespace fabula::serve
