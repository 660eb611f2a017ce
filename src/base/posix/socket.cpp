#include "base/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace fabula {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

int descriptor_of(Socket socket) {
  return static_cast<int>(socket);
}

}  // namespace

bool wait_until_ready(Socket socket, SocketUse use, milliseconds wait) {
  const Clock::time_point end = Clock::now() + wait;
  while (true) {
    const auto left = std::max(std::chrono::duration_cast<milliseconds>(end - Clock::now()), milliseconds(0));
    const short events = use == SocketUse::kReading ? POLLIN : POLLOUT;
    pollfd entry{.fd = descriptor_of(socket), .events = events, .revents = 0};
    const int n = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (n > 0) return true;
    if (n == 0 || errno != EINTR) return false;
  }
}

bool peer_is_there(Socket socket) {
  pollfd entry{.fd = descriptor_of(socket), .events = POLLRDHUP, .revents = 0};
  return ::poll(&entry, 1, 0) <= 0 || (entry.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) == 0;
}

void make_nonblocking(Socket socket) {
  ::fcntl(descriptor_of(socket), F_SETFL, ::fcntl(descriptor_of(socket), F_GETFL) | O_NONBLOCK);
}

std::ptrdiff_t send_some(Socket socket, std::string_view bytes) {
  const ssize_t n = ::send(descriptor_of(socket), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (n >= 0) return n;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

std::ptrdiff_t receive_some(Socket socket, char* to, std::size_t size) {
  return ::recv(descriptor_of(socket), to, size, 0);
}

void end_socket(Socket socket, SocketSide side) {
  ::shutdown(descriptor_of(socket), side == SocketSide::kSending ? SHUT_WR : SHUT_RDWR);
}

void close_socket(Socket socket) {
  ::close(descriptor_of(socket));
}

void claim_port_alone(Socket socket) {
  const int yes = 1;
  ::setsockopt(descriptor_of(socket), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

void set_backlog(Socket socket, int connections) {
  ::listen(descriptor_of(socket), connections);
}

std::string socket_reason() {
  return std::generic_category().message(errno);
}

Socket connect_to_this_machine(int port, int buffer) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return kNoSocket;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (buffer > 0) ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  ::close(socket);
  return kNoSocket;
}

}  // namespace fabula
