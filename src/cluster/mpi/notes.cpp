#include "cluster/mpi/notes.hpp"

#include <algorithm>
#include <cstring>

#include "base/fail.hpp"

namespace fabula::cluster {
namespace {
constexpr int kNoteTag = 1;
}

void check_mpi(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail(ErrorCode::kPeer, "MPI, {}: {}", what, std::string_view(text, static_cast<std::size_t>(length)));
}

Notes::Notes() {
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &communicator_), "a communicator for notes");
  MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
  post_receive();
}

void Notes::close() {
  if (receiving_ != MPI_REQUEST_NULL) {
    MPI_Cancel(&receiving_);
    MPI_Wait(&receiving_, MPI_STATUS_IGNORE);
  }
  for (Sent& sent : sent_)
    if (sent.request != MPI_REQUEST_NULL) MPI_Request_free(&sent.request);
  MPI_Comm_free(&communicator_);
}

void Notes::post_receive() {
  check_mpi(MPI_Irecv(&received_, sizeof(Words), MPI_BYTE, MPI_ANY_SOURCE, kNoteTag, communicator_, &receiving_),
            "waiting for notes");
}

void Notes::send(int to, NoteKind kind, std::string_view text) {
  for (auto it = sent_.begin(); it != sent_.end();) {
    int done = 0;
    MPI_Test(&it->request, &done, MPI_STATUS_IGNORE);
    it = done != 0 ? sent_.erase(it) : std::next(it);
  }
  text = text.substr(0, kTextBytes);
  Sent& sent = sent_.emplace_back();
  sent.words.kind = static_cast<std::int32_t>(kind);
  sent.words.bytes = static_cast<std::int32_t>(text.size());
  std::copy(text.begin(), text.end(), sent.words.text);
  const std::size_t bytes = offsetof(Words, text) + text.size();
  check_mpi(MPI_Isend(&sent.words, static_cast<int>(bytes), MPI_BYTE, to, kNoteTag, communicator_, &sent.request),
            "sending a note");
}

void Notes::send_to_others(NoteKind kind, std::string_view text) {
  int size = 0, rank = 0;
  MPI_Comm_size(communicator_, &size);
  MPI_Comm_rank(communicator_, &rank);
  for (int to = 0; to < size; ++to)
    if (to != rank) send(to, kind, text);
}

std::optional<Note> Notes::receive() {
  int done = 0;
  MPI_Status status;
  check_mpi(MPI_Test(&receiving_, &done, &status), "looking for notes");
  if (done == 0) return std::nullopt;
  const auto bytes = static_cast<std::size_t>(std::clamp(received_.bytes, 0, static_cast<std::int32_t>(kTextBytes)));
  Note note{status.MPI_SOURCE, static_cast<NoteKind>(received_.kind), std::string(received_.text, bytes)};
  post_receive();
  return note;
}

}  // namespace fabula::cluster
