#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/socket.hpp"

// The other end of a connection to a server on this machine, for benchmarks and tests: bytes as they are.
namespace fabula::serve {

class ClientConnection {
 public:
  /// `buffer`: bytes that the system keeps of what came and was not received; 0: its own choice. Throws kIo.
  explicit ClientConnection(int port, int buffer = 0);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  /// False when the server takes no more.
  bool send(std::string_view bytes);
  /// What came; empty at the end of the connection and when the time is over.
  std::string receive(std::chrono::milliseconds wait);
  bool ended() const { return ended_; }  ///< by the server

 private:
  Socket socket_ = kNoSocket;
  bool ended_ = false;
};

struct ClientReply {
  int status = 0;  ///< 0: none came
  std::string head, body;
  bool whole = false;  ///< the body ended as its length or its last chunk says
};

/// The bytes of a request; a body is JSON.
std::string request_bytes(std::string_view method, std::string_view path, std::string_view body = {},
                          const std::vector<std::string>& headers = {});
/// One request on a connection of its own, and its answer.
ClientReply ask(int port, std::string_view method, std::string_view path, std::string_view body = {},
                const std::vector<std::string>& headers = {},
                std::chrono::milliseconds wait = std::chrono::seconds(120));
/// An answer from all that came on a connection; chunks are joined.
ClientReply parse_reply(std::string_view bytes, bool has_body = true);

}  // namespace fabula::serve
