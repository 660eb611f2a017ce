#include "base/socket.hpp"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <algorithm>

#include "base/windows/system.hpp"

namespace fabula {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostBytesAtOnce = 1u << 30;

SOCKET handle_of(Socket socket) {
  return static_cast<SOCKET>(socket);
}

/// For the life of the process: its sockets are in use until its end.
void start_sockets() {
  static const int started = [] {
    WSADATA data;
    return ::WSAStartup(MAKEWORD(2, 2), &data);
  }();
  static_cast<void>(started);
}

}  // namespace

bool wait_until_ready(Socket socket, SocketUse use, milliseconds wait) {
  WSAPOLLFD entry{};
  entry.fd = handle_of(socket);
  entry.events = use == SocketUse::kReading ? POLLRDNORM : POLLWRNORM;
  return ::WSAPoll(&entry, 1, static_cast<int>(std::max(wait, milliseconds(0)).count())) > 0;
}

// Whoever has closed its side shows as hung up, or as an end behind whatever it has sent.
bool peer_is_there(Socket socket) {
  WSAPOLLFD entry{};
  entry.fd = handle_of(socket);
  entry.events = POLLRDNORM;
  if (::WSAPoll(&entry, 1, 0) <= 0) return true;
  if ((entry.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return false;
  char byte = 0;
  const int n = ::recv(entry.fd, &byte, 1, MSG_PEEK);
  return n > 0 || (n < 0 && ::WSAGetLastError() == WSAEWOULDBLOCK);
}

void make_nonblocking(Socket socket) {
  u_long yes = 1;
  ::ioctlsocket(handle_of(socket), static_cast<long>(FIONBIO), &yes);
}

std::ptrdiff_t send_some(Socket socket, std::string_view bytes) {
  const int n = ::send(handle_of(socket), bytes.data(), static_cast<int>(std::min(bytes.size(), kMostBytesAtOnce)), 0);
  if (n >= 0) return n;
  return ::WSAGetLastError() == WSAEWOULDBLOCK ? 0 : -1;
}

std::ptrdiff_t receive_some(Socket socket, char* to, std::size_t size) {
  return ::recv(handle_of(socket), to, static_cast<int>(std::min(size, kMostBytesAtOnce)), 0);
}

void end_socket(Socket socket, SocketSide side) {
  ::shutdown(handle_of(socket), side == SocketSide::kSending ? SD_SEND : SD_BOTH);
}

void close_socket(Socket socket) {
  ::closesocket(handle_of(socket));
}

// A port is free at once here; SO_REUSEADDR would let two listen on it.
void claim_port_alone(Socket socket) {
  const int yes = 1;
  ::setsockopt(handle_of(socket), SOL_SOCKET, SO_EXCLUSIVEADDRUSE, reinterpret_cast<const char*>(&yes), sizeof yes);
}

void set_backlog(Socket socket, int connections) {
  ::listen(handle_of(socket), connections);
}

std::string socket_reason() {
  return windows_error(static_cast<DWORD>(::WSAGetLastError())).message();
}

Socket connect_to_this_machine(int port, int buffer) {
  start_sockets();
  const SOCKET socket = ::socket(AF_INET, SOCK_STREAM, 0);
  if (socket == INVALID_SOCKET) return kNoSocket;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = ::htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  const int yes = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&yes), sizeof yes);
  if (buffer > 0) ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, reinterpret_cast<const char*>(&buffer), sizeof buffer);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return static_cast<Socket>(socket);
  ::closesocket(socket);
  return kNoSocket;
}

}  // namespace fabula
