#include "api/session_object.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "api/structs.hpp"
#include "base/fail.hpp"
#include "infer/generator.hpp"
#include "infer/inspection.hpp"

namespace fabula::api {
namespace {

graph::DType cache_type(const char* name) {
  const std::string_view text = name == nullptr ? "fp32" : name;
  if (text == "fp32") return graph::DType::kF32;
  if (text == "fp16") return graph::DType::kF16;
  if (text == "bf16") return graph::DType::kBF16;
  refuse(FABULA_INVALID_ARGUMENT, "the cache is \"{}\"; fp32, fp16 and bf16 are possible", text);
}

fabula_finish finish_of(infer::Finish finish) {
  switch (finish) {
    case infer::Finish::kStop:
      return FABULA_FINISH_STOP;
    case infer::Finish::kLength:
      return FABULA_FINISH_LENGTH;
    case infer::Finish::kCancelled:
      return FABULA_FINISH_CANCELLED;
    case infer::Finish::kNumeric:
      return FABULA_FINISH_NUMERIC;
  }
  fail(ErrorCode::kInternal, "there is no end {}", static_cast<int>(finish));
}

}  // namespace

/// The right to use the device, the session and its batch.
class SessionObject::Turn {
 public:
  /// Of a session that is closed meanwhile, readers have a turn still: the ends of its texts are to be told.
  explicit Turn(SessionObject& session, bool reads = false) : session_(session) {
    std::unique_lock lock(session.mutex_);
    const std::uint64_t own = session.turns_++;
    session.changed_.wait(lock, [&] { return own == session.turn_; });
    try {
      if (!reads || !session.closed_) session.check_usable();
    } catch (...) {
      pass_on();
      throw;
    }
    lock.unlock();
    device_ = std::unique_lock(session.device_->mutex);
  }
  ~Turn() {
    device_.unlock();
    const std::lock_guard lock(session_.mutex_);
    pass_on();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  void pass_on() {
    ++session_.turn_;
    session_.changed_.notify_all();
  }

  SessionObject& session_;
  std::unique_lock<FairMutex> device_;
};

/// Of whoever has the turn. What fails for another reason than what was asked leaves the session unusable, and every
/// later call hears of it.
template <class Body>
void SessionObject::using_session(Body body) {
  const auto breaks = [&](const Error& error) {
    const std::lock_guard lock(mutex_);
    broken_ = error;
  };
  try {
    body();
  } catch (const Error& error) {
    // The device is as it was after what no model could compute.
    if (error.code() != ErrorCode::kInvalidArgument && error.code() != ErrorCode::kNumeric) breaks(error);
    throw;
  } catch (const StatusError&) {
    throw;
  } catch (const std::bad_alloc&) {
    breaks(Error(ErrorCode::kOutOfMemory, "the host's memory was not enough; close the session"));
    throw;
  } catch (const std::exception& error) {
    breaks(Error(ErrorCode::kInternal, error.what()));
    throw;
  }
}

SessionObject::SessionObject(std::shared_ptr<DeviceObject> device, std::shared_ptr<ModelObject> model,
                             const fabula_session_options& options)
    : device_(std::move(device)), model_(std::move(model)), options_(options) {
  const std::lock_guard lock(device_->mutex);
  try {
    open();
  } catch (...) {
    release();
    throw;
  }
}

/// With the device's mutex.
void SessionObject::open() {
  vk::Device& opened = *device_->opened.device;
  graph::Workload workload({opened.profile(), device_->opened.choices});
  infer::SessionGraphs graphs = infer::add_session_graphs(workload, folder().model(),
                                                          {.slots = options_.slots == 0 ? 1 : options_.slots,
                                                           .context = options_.context,
                                                           .cache = cache_type(options_.cache),
                                                           .distribution = options_.levels != 0,
                                                           .score = options_.score != 0});
  std::vector<std::size_t> all;
  for (const auto& step : graphs.steps) all.push_back(step.index);
  for (const auto& prompt : graphs.prompts) all.push_back(prompt.index);
  if (graphs.score) all.push_back(graphs.score->prompt.index);
  runtime_ = std::make_unique<graph::Runtime>(opened, std::move(workload));
  folder().load_weights(*runtime_);
  runtime_->prepare(all);
  session_ =
      std::make_unique<infer::Session>(*runtime_, std::move(graphs), folder().model(), folder().rows_without_token());
  batch_.emplace(*session_, folder().tokenizer(), [this](const auto& piece) { return add_piece(piece); });
  opened.save_pipeline_cache();
}

SessionObject::~SessionObject() {
  const std::lock_guard lock(device_->mutex);
  release();
}

void SessionObject::release() {
  batch_.reset();
  session_.reset();
  runtime_.reset();
}

void SessionObject::check_usable() const {
  if (closed_) refuse(FABULA_INVALID_ARGUMENT, "the session was closed before");
  if (broken_) throw *broken_;
}

std::vector<std::uint32_t> SessionObject::prompt_ids(const char* prompt) const {
  const infer::Generator generator(*session_, folder().tokenizer(), folder().model().head().vocabulary(),
                                   folder().start_id());
  return generator.encode_prompt(prompt == nullptr ? "" : prompt);
}

std::shared_ptr<SessionText> SessionObject::begin(std::vector<std::uint32_t> ids, const infer::GenerateOptions& options,
                                                  Reader reader) {
  if (options.max_tokens < 1)
    refuse(FABULA_INVALID_ARGUMENT, "max_tokens is {}; 1 or more are expected", options.max_tokens);
  const Turn turn(*this);
  const std::size_t slot = free_slot();
  auto text = std::make_shared<SessionText>();
  text->slot = slot;
  text->result.prompt_tokens = static_cast<std::int64_t>(ids.size());
  {
    const std::lock_guard lock(mutex_);
    text->number = text->result.text = numbers_++;
    texts_.emplace(text->number, text);
  }
  std::vector<infer::TextBatch::Beginning> beginning;
  beginning.push_back({.sequence = static_cast<std::size_t>(text->number),
                       .prompt = std::move(ids),
                       .options = options,
                       .visit = {},
                       .wanted = [this, text] {
                         const std::lock_guard lock(mutex_);
                         return !closed_ && !text->cancelled;
                       }});
  try {
    using_session([&] { batch_->begin(std::move(beginning)); });
  } catch (...) {
    const std::lock_guard lock(mutex_);
    texts_.erase(text->number);
    throw;
  }
  began_ = true;
  const std::lock_guard lock(mutex_);
  if (reader == Reader::kNext) nexts_.push_back(text);
  return text;
}

std::vector<TextEvent> SessionObject::read(SessionText& text) {
  const auto something = [&] { return !text.events.empty() || text.over; };
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return something() || turn_ == turns_; });
    if (!something()) {
      lock.unlock();
      const Turn turn(*this, true);
      lock.lock();
      const bool came = something();  // while others had their turns
      lock.unlock();
      if (!came) step(0);
    }
  }
  const std::lock_guard lock(mutex_);
  std::vector<TextEvent> events(std::make_move_iterator(text.events.begin()),
                                std::make_move_iterator(text.events.end()));
  text.events.clear();
  return events;
}

void SessionObject::abandon(SessionText& text) {
  const std::lock_guard lock(mutex_);
  text.silent = text.cancelled = true;  // whoever has the next turn frees its slot
  text.events.clear();
}

SessionObject::NextTurn::NextTurn(SessionObject& session) : session_(session) {
  const std::lock_guard lock(session.mutex_);
  session.check_usable();
  if (session.next_turn_)
    refuse(FABULA_BUSY,
           "fabula_session_next runs already for this session, in another thread or in whose callback "
           "this is");
  session.next_turn_ = true;
}

SessionObject::NextTurn::~NextTurn() {
  const std::lock_guard lock(session_.mutex_);
  session_.next_turn_ = false;
}

std::vector<std::shared_ptr<SessionText>> SessionObject::next(std::int32_t tokens) {
  if (tokens < 0 || tokens > 16) refuse(FABULA_INVALID_ARGUMENT, "{} tokens are asked for; 0 to 16 can be", tokens);
  const auto waits = [](const auto& text) { return !text->silent && !text->events.empty(); };
  {
    const std::lock_guard lock(mutex_);
    if (std::any_of(nexts_.begin(), nexts_.end(), waits) || nexts_.empty()) return nexts_;
  }
  const Turn turn(*this, true);
  step(tokens);
  const std::lock_guard lock(mutex_);
  return nexts_;
}

std::optional<TextEvent> SessionObject::take(SessionText& text, bool ends_alone) {
  const std::lock_guard lock(mutex_);
  std::optional<TextEvent> event;
  const bool any = !text.silent && !text.events.empty();
  if (any && (!ends_alone || text.events.front().finish != FABULA_FINISH_NONE)) {
    event = std::move(text.events.front());
    text.events.pop_front();
  }
  if (text.over && (text.silent || text.events.empty()))
    std::erase_if(nexts_, [&](const auto& other) { return other.get() == &text; });
  return event;
}

std::size_t SessionObject::active_next() {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(nexts_.begin(), nexts_.end(), [](const auto& text) {
    return !text->silent && !(text->over && text->events.empty());
  }));
}

void SessionObject::cancel(std::int64_t number) {
  const std::lock_guard lock(mutex_);
  if (number != FABULA_ALL_TEXTS && (number < 0 || number >= numbers_))
    refuse(FABULA_INVALID_ARGUMENT, "the session has had no text {}", number);
  for (const auto& [other, text] : texts_)
    if (number == FABULA_ALL_TEXTS || number == other) text->cancelled = true;
}

void SessionObject::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  // Whoever makes a submission just now tells of what it brought; the others hear of their end at once.
  for (const auto& [number, text] : texts_) {
    text->cancelled = true;
    if (!text->over) end(*text, FABULA_FINISH_CANCELLED);
  }
  changed_.notify_all();
}

void SessionObject::score(std::span<const std::uint32_t> ids, const infer::OnDistribution& visit) {
  if (options_.score == 0)
    refuse(FABULA_INVALID_ARGUMENT, "the session was opened without fabula_session_options.score");
  if (ids.empty()) refuse(FABULA_INVALID_ARGUMENT, "the text has no token");
  const Turn turn(*this);
  const std::size_t slot = free_slot();
  const infer::OnDistribution visit_while_open = [&](std::size_t position, std::span<const float> log_probs) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) refuse(FABULA_INTERRUPTED, "the session was closed meanwhile");
    }
    visit(position, log_probs);
  };
  using_session([&] { session_->score(slot, ids, visit_while_open); });
}

/// Of whoever has the turn. Throws StatusError busy.
std::size_t SessionObject::free_slot() {
  drop_cancelled();
  const std::optional<std::size_t> slot = session_->free_slot();
  if (!slot)
    refuse(FABULA_BUSY, "all of the session's {} slots are taken; wait for a text to end, or open it with more",
           session_->slots());
  return *slot;
}

/// Of whoever has the turn.
void SessionObject::step(std::int64_t tokens) {
  drop_cancelled();
  if (batch_->is_idle()) return;
  const bool began = std::exchange(began_, false);
  std::int64_t steps = tokens != 0 ? tokens : pace_.next(began);
  if (options_.levels != 0) steps = 1;
  const auto start = std::chrono::steady_clock::now();
  std::vector<infer::TextBatch::Over> all_over;
  using_session([&] { all_over = batch_->advance(steps); });
  if (!began) pace_.took(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), steps);
  const std::lock_guard lock(mutex_);
  for (const infer::TextBatch::Over& over : all_over) {
    const auto text = texts_.find(static_cast<std::int64_t>(over.sequence));
    if (text == texts_.end()) continue;
    if (!text->second->over) end(*text->second, finish_of(over.text.finish));
    texts_.erase(text);
  }
}

/// Of whoever has the turn.
void SessionObject::drop_cancelled() {
  const std::lock_guard lock(mutex_);
  std::erase_if(texts_, [&](const auto& entry) {
    SessionText& text = *entry.second;
    if (!text.cancelled) return false;
    batch_->cancel(static_cast<std::size_t>(text.number));
    if (!text.over) end(text, FABULA_FINISH_CANCELLED);
    return true;
  });
}

/// With the mutex.
void SessionObject::end(SessionText& text, fabula_finish finish) {
  text.events.push_back({.piece = finish == FABULA_FINISH_CANCELLED ? "" : std::exchange(text.held, {}),
                         .log_p = kNoNumber,
                         .group_log_p = kNoNumber,
                         .token_log_p = kNoNumber,
                         .finish = finish});
  text.result.finish = finish;
  text.over = true;
}

bool SessionObject::add_piece(const infer::GeneratedPiece& piece) {
  const auto found = texts_.find(static_cast<std::int64_t>(piece.sequence));  // whoever has the turn changes the map
  if (found == texts_.end()) return false;
  SessionText& text = *found->second;
  if (piece.token == nullptr) {
    const std::lock_guard lock(mutex_);
    text.held += piece.text;
    return true;
  }
  TextEvent event{.piece = std::string(piece.text),
                  .log_p = piece.token->log_prob,
                  .group_log_p = kNoNumber,
                  .token_log_p = kNoNumber,
                  .id = piece.token->id};
  for (const auto& [id, log_p] : piece.token->top) event.top.push_back({id, log_p});
  if (options_.levels != 0) set_levels(text, event);
  const std::lock_guard lock(mutex_);
  if (text.over) return false;
  text.events.push_back(std::move(event));
  ++text.result.tokens;
  return !text.cancelled;
}

void SessionObject::set_levels(const SessionText& text, TextEvent& event) {
  const TokenMap* const map = folder().model().head().token_map();
  if (map == nullptr) return;
  const std::vector<float> log_probs = session_->log_probs(text.slot);
  if (std::any_of(log_probs.begin(), log_probs.end(), [](float log_p) { return std::isnan(log_p); })) return;
  const infer::Inspection inspection = infer::inspect(log_probs, map, event.id, 0);
  event.group = inspection.levels->index;
  event.token_log_p = inspection.levels->token_log_p;
  event.group_log_p = inspection.token.log_p - event.token_log_p;
}

}  // namespace fabula::api
