#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Stream sockets, as far as the server and its client need them: what the two systems call differently.
namespace fabula {

using Socket = std::intptr_t;  ///< a descriptor, or a SOCKET of Windows
inline constexpr Socket kNoSocket = -1;

enum class SocketUse { kReading, kWriting };
/// Waits until it can be used, or has failed, or the time is over; false then.
bool wait_until_ready(Socket socket, SocketUse use, std::chrono::milliseconds wait);

/// Does the other side still listen? One that has closed its side does not.
bool peer_is_there(Socket socket);

/// From now on send_some and receive_some wait for nothing.
void make_nonblocking(Socket socket);
/// How many bytes were taken; 0: none just now; -1: nobody takes any more.
std::ptrdiff_t send_some(Socket socket, std::string_view bytes);
/// How many bytes came; 0: none will come any more; -1: none came.
std::ptrdiff_t receive_some(Socket socket, char* to, std::size_t size);

enum class SocketSide { kSending, kBoth };
void end_socket(Socket socket, SocketSide side);
void close_socket(Socket socket);

/// Before it is bound: its port is free again at once when it is closed, and no two sockets listen on one.
void claim_port_alone(Socket socket);
void set_backlog(Socket socket, int connections);
/// What the last failed call of this thread says.
std::string socket_reason();

/// A connection to a port of this machine, without Nagle's delay; kNoSocket where nobody listens. `buffer`: bytes that the
/// system keeps of what came and was not received; 0: its own choice.
Socket connect_to_this_machine(int port, int buffer);

}  // namespace fabula
