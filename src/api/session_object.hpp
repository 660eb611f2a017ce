#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/objects.hpp"
#include "fabula/fabula.h"
#include "infer/text_batch.hpp"

// What stands behind the handle of a session: texts that many threads write in the slots of one decoding session.
namespace fabula::api {

/// What is to be told of a text: a token, or its end.
struct TextEvent {
  std::string piece = {};
  std::vector<fabula_likely> top = {};
  double log_p, group_log_p, token_log_p;
  std::int64_t group = -1;
  std::uint32_t id = FABULA_NO_TOKEN;
  fabula_finish finish = FABULA_FINISH_NONE;
};

/// A text on its way. The session's mutex guards it.
struct SessionText {
  std::int64_t number = 0;
  std::size_t slot = 0;
  bool cancelled = false;  ///< by whoever, from now on
  bool silent = false;     ///< its reader wants to hear no more
  bool over = false;       ///< it has no slot any more
  std::string held = {};   ///< of the text, to be told with its end
  std::deque<TextEvent> events = {};
  fabula_text_result result = {};
};

/// Threads take turns at the device: one makes a submission for all texts, and each thread finds what became of its
/// own. No callback of the caller's is called from here.
class SessionObject {
 public:
  /// Throws as Session and Runtime do.
  SessionObject(std::shared_ptr<DeviceObject> device, std::shared_ptr<ModelObject> model,
                const fabula_session_options& options);
  ~SessionObject();

  const infer::ModelFolder& folder() const { return model_->folder; }

  /// The tokens of a prompt, which is taken as the start of a document.
  std::vector<std::uint32_t> prompt_ids(const char* prompt) const;

  enum class Reader : std::uint8_t { kOwn, kNext };  ///< a thread of its own, or whoever asks for the next tokens
  /// Begins a text. Throws StatusError busy where no slot is free.
  std::shared_ptr<SessionText> begin(std::vector<std::uint32_t> ids, const infer::GenerateOptions& options,
                                     Reader reader);
  /// What became of a text that its own thread reads: waits for a submission, or makes one.
  std::vector<TextEvent> read(SessionText& text);
  /// Ends it without another word; its slot is free for whatever comes next.
  void abandon(SessionText& text);

  /// Makes sure that one thread at a time reads the texts of Reader::kNext. Throws StatusError busy.
  class NextTurn {
   public:
    explicit NextTurn(SessionObject& session);
    ~NextTurn();
    NextTurn(const NextTurn&) = delete;
    NextTurn& operator=(const NextTurn&) = delete;

   private:
    SessionObject& session_;
  };
  /// Steps of all texts in one submission, unless there is something to tell already. The texts of Reader::kNext.
  std::vector<std::shared_ptr<SessionText>> next(std::int32_t tokens);
  /// The first thing that is to be told of one of them, of its end alone where that is said; none: there is nothing.
  std::optional<TextEvent> take(SessionText& text, bool ends_alone);
  /// Those that go on.
  std::size_t active_next();

  /// Throws StatusError invalid for a number that no text has had.
  void cancel(std::int64_t text);
  void close();

  /// Session::score, in a free slot.
  void score(std::span<const std::uint32_t> ids, const infer::OnDistribution& visit);

 private:
  class Turn;
  void open();
  void release();
  template <class Body>
  void using_session(Body body);
  std::size_t free_slot();
  void step(std::int64_t tokens);
  void drop_cancelled();
  bool add_piece(const infer::GeneratedPiece& piece);
  void set_levels(const SessionText& text, TextEvent& event);
  void end(SessionText& text, fabula_finish finish);
  void check_usable() const;

  std::shared_ptr<DeviceObject> device_;
  std::shared_ptr<ModelObject> model_;
  fabula_session_options options_;
  std::unique_ptr<graph::Runtime> runtime_;
  std::unique_ptr<infer::Session> session_;
  std::optional<infer::TextBatch> batch_;  // of whoever has the turn
  infer::Pace pace_;
  bool began_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t turns_ = 0, turn_ = 0;  ///< that were asked for; whose it is
  bool next_turn_ = false, closed_ = false;
  std::optional<Error> broken_;
  std::map<std::int64_t, std::shared_ptr<SessionText>> texts_;  ///< with a slot, by number
  std::vector<std::shared_ptr<SessionText>> nexts_;             ///< of Reader::kNext, until their end is told
  std::int64_t numbers_ = 0;
};

}  // namespace fabula::api
