#pragma once
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/mpi/library.hpp"

namespace fabula::cluster {

/// What ranks tell each other beside the work.
enum class NoteKind : std::int32_t {
  kPulse,  ///< the sender lives
  kAbort,  ///< the work of all ends, with a text
  kSaid,   ///< the user has been told
};

struct Note {
  int from = 0;
  NoteKind kind = NoteKind::kPulse;
  std::string text;
};

/// Short messages between ranks, on a communicator of their own. Calls come from one thread at a time.
class Notes {
 public:
  /// Of MPI_COMM_WORLD's ranks.
  Notes();
  /// Takes the communicator down; only where every rank does.
  void close();

  /// Sends without waiting; a text that is too long is cut.
  void send(int to, NoteKind kind, std::string_view text = {});
  void send_to_others(NoteKind kind, std::string_view text = {});
  /// The next one that has come.
  std::optional<Note> receive();
  MPI_Comm communicator() const { return communicator_; }

 private:
  static constexpr std::size_t kTextBytes = 2000;
  struct Words {
    std::int32_t kind, bytes;
    char text[kTextBytes];
  };
  struct Sent {
    MPI_Request request;
    Words words;
  };
  void post_receive();

  MPI_Comm communicator_ = MPI_COMM_NULL;
  MPI_Request receiving_ = MPI_REQUEST_NULL;
  Words received_{};
  std::list<Sent> sent_;  ///< whose words MPI may still read; their places stay
};

}  // namespace fabula::cluster
