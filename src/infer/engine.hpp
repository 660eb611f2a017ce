#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "infer/text_batch.hpp"

// Requests of many, answered at once: one thread owns the sessions of some models on one device and batches what is
// asked for over their slots, text by text as slots fall free.
namespace fabula::infer {

inline constexpr std::size_t kMostTexts = 256;  ///< of one request

/// One text to write.
struct TextRequest {
  std::vector<std::uint32_t> ids;  ///< the prompt, as the model reads it
  GenerateOptions options = {};    ///< max_tokens 0: nothing is written
  bool score = false;              ///< the prompt's own log-probabilities are told first
  bool distribution = false;       ///< what is told is log p [V] behind the prompt, and nothing is written
};

/// What became of one text since.
struct TextEvent {
  std::size_t text = 0;                      ///< its number in the job
  std::vector<GeneratedToken> prompt = {};   ///< of TextRequest::score, first of all: the prompt's tokens but the first
  std::vector<float> distribution = {};      ///< of TextRequest::distribution
  std::optional<GeneratedToken> token = {};  ///< a token that was drawn; a stop token too
  std::string shown = {};                    ///< what of the text can be shown since
  std::optional<Finish> finish = {};         ///< the text is over
};

struct JobTimes {
  double waited = 0;         ///< seconds in the queue, until the first text began
  double first_token = 0;    ///< from there until the first token
  double all = 0;            ///< from there until the last text was over
  std::int64_t written = 0;  ///< tokens of all texts
};

/// Texts that belong together, on their way. For one reader.
class Job {
 public:
  explicit Job(std::vector<TextRequest> texts);

  /// What happened since, in order; waits for something until the time is over. Empty: nothing yet. Throws Error with
  /// what went wrong: kDeviceLost, kNumeric, kInterrupted where the engine stopped before the texts were over.
  std::vector<TextEvent> take(std::chrono::milliseconds wait);
  bool is_over() const;  ///< and all of it was taken
  bool has_begun() const;
  /// Nobody reads on: its slots are free from the next submission on.
  void cancel() { cancelled_ = true; }
  JobTimes times() const;

 private:
  friend class Engine;
  using Clock = std::chrono::steady_clock;
  void add(std::vector<TextEvent> events);
  void fail_with(const Error& error);

  std::vector<TextRequest> texts_;  // the engine's thread takes them as they begin
  std::size_t next_ = 0;            // the first that has not begun; the engine's
  std::atomic<bool> cancelled_ = false;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<TextEvent> events_;
  std::size_t over_ = 0, taken_over_ = 0;
  std::optional<Error> error_;
  Clock::time_point created_ = Clock::now();
  std::optional<Clock::time_point> began_, first_token_, ended_;
  std::int64_t written_ = 0;
};

struct EngineOptions {
  std::size_t queue = 64;  ///< requests that may wait for a slot, of all models
};

struct EngineModel {
  Session* session;
  const text::Tokenizer* tokenizer;
};

/// What it has done so far, and what it is at.
struct EngineCounts {
  std::uint64_t prompt_tokens = 0, written_tokens = 0, texts = 0, cancelled = 0, submissions = 0;
  std::size_t waiting = 0, running = 0, slots = 0;
};

class Engine {
 public:
  /// Starts its thread, which alone uses the sessions from then on. They must outlive it.
  Engine(std::vector<EngineModel> models, EngineOptions options);
  /// Stops at once.
  ~Engine();

  enum class Refusal : std::uint8_t { kNone, kQueueFull, kStopping, kDeviceLost };
  struct Submitted {
    std::shared_ptr<Job> job;  ///< shared by the reader and the engine: either may be through with it first
    Refusal refusal = Refusal::kNone;
  };
  /// Takes texts in; does not wait. Throws kInvalidArgument for what a session would refuse.
  Submitted submit(std::size_t model, std::vector<TextRequest> texts);

  /// kNone: it takes requests.
  Refusal state() const;
  EngineCounts counts() const;
  /// Takes no more requests; those that it has go on until they are over or `grace` has passed. Then they end with
  /// kInterrupted.
  void stop(std::chrono::milliseconds grace);

 private:
  struct Lane;
  void check(const Lane& lane, const TextRequest& text) const;
  void run();
  bool work_left() const;
  void advance(Lane& lane);
  void drop_cancelled(Lane& lane);
  bool begin_texts(Lane& lane);
  /// Begins a job's next text: at once where it is only looked at, else it is put to those that begin together.
  void begin_text(Lane& lane, const std::shared_ptr<Job>& job, std::vector<TextBatch::Beginning>& together);
  std::shared_ptr<Job> next_job(Lane& lane);
  bool tell(Lane& lane, const GeneratedPiece& piece);
  void hand_out(Lane& lane);
  void end_all(const Error& error);

  EngineOptions options_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Refusal state_ = Refusal::kNone;
  std::optional<std::chrono::steady_clock::time_point> end_;  ///< of the grace
  EngineCounts counts_;
  std::thread thread_;
};

}  // namespace fabula::infer
