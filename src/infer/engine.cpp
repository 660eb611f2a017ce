#include "infer/engine.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/decode_slot.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"

namespace fabula::infer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPromptTokensAtOnce =
    1024;  // that texts begin with before cancellations and steps have their turn

/// A token of a prompt with the likeliest that could have stood there.
GeneratedToken scored(std::uint32_t id, std::span<const float> log_probs, std::int64_t top) {
  GeneratedToken token{.id = id, .log_prob = log_probs[id], .top = {}};
  const auto most = static_cast<std::size_t>(top);
  for (std::uint32_t other = 0; most > 0 && other < log_probs.size(); ++other) {
    const float log_prob = log_probs[other];
    if (token.top.size() == most && log_prob <= token.top.back().second) continue;
    const auto place =
        std::find_if(token.top.begin(), token.top.end(), [&](const auto& entry) { return entry.second < log_prob; });
    token.top.emplace(place, other, log_prob);  // behind its equals: ties go to the lower id
    if (token.top.size() > most) token.top.pop_back();
  }
  return token;
}

Error device_failed(const std::exception& error) {
  const auto* const own = dynamic_cast<const Error*>(&error);
  if (own != nullptr && own->code() == ErrorCode::kDeviceLost) return *own;
  return Error(ErrorCode::kDeviceLost, fmt::format("the device failed: {}", error.what()));
}

}  // namespace

Job::Job(std::vector<TextRequest> texts) : texts_(std::move(texts)) {}

std::vector<TextEvent> Job::take(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [&] { return !events_.empty() || error_; });
  if (events_.empty() && error_) throw *error_;
  std::vector<TextEvent> events;
  std::swap(events, events_);
  for (const TextEvent& event : events) taken_over_ += event.finish.has_value();
  return events;
}

bool Job::is_over() const {
  const std::lock_guard lock(mutex_);
  return taken_over_ == texts_.size();
}

bool Job::has_begun() const {
  const std::lock_guard lock(mutex_);
  return began_.has_value();
}

JobTimes Job::times() const {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now(), began = began_.value_or(now);
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  return {.waited = seconds(began - created_),
          .first_token = seconds(first_token_.value_or(ended_.value_or(now)) - began),
          .all = seconds(ended_.value_or(now) - began),
          .written = written_};
}

void Job::add(std::vector<TextEvent> events) {
  {
    const std::lock_guard lock(mutex_);
    for (TextEvent& event : events) {
      if (event.token) {
        ++written_;
        if (!first_token_) first_token_ = Clock::now();
      }
      if (event.finish && ++over_ == texts_.size()) ended_ = Clock::now();
      events_.push_back(std::move(event));
    }
  }
  changed_.notify_one();
}

void Job::fail_with(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (!error_ && over_ < texts_.size()) error_ = error;
  }
  changed_.notify_one();
}

/// A model's session, and who uses and waits for it.
struct Engine::Lane {
  struct Running {
    std::shared_ptr<Job> job;
    std::size_t text;
  };
  EngineModel model;
  std::optional<TextBatch> batch;
  Pace pace;
  std::deque<std::shared_ptr<Job>> waiting = {};  ///< jobs with texts that have not begun; the engine's mutex guards it
  std::map<std::size_t, Running> running = {};    ///< by the batch's numbers
  std::map<std::shared_ptr<Job>, std::vector<TextEvent>> news = {};  ///< of a submission; a reader is woken once for it
  std::size_t taken = 0;  ///< size of `running`, for others to read; guarded too
  std::size_t next_number = 0;
};

Engine::Engine(std::vector<EngineModel> models, EngineOptions options) : options_(options) {
  for (const EngineModel& model : models) {
    lanes_.push_back(std::make_unique<Lane>());
    Lane& lane = *lanes_.back();
    lane.model = model;
    lane.batch.emplace(*model.session, *model.tokenizer,
                       [this, &lane](const GeneratedPiece& piece) { return tell(lane, piece); });
    counts_.slots += model.session->slots();
  }
  thread_ = std::thread([this] { run(); });
}

Engine::~Engine() {
  stop(std::chrono::milliseconds(0));
}

void Engine::check(const Lane& lane, const TextRequest& text) const {
  const Session& session = *lane.model.session;
  session.check_ids(text.ids);
  if (text.distribution || text.options.max_tokens == 0) return;
  session.check(text.ids, {.sampler = text.options.sampler,
                           .max_tokens = text.options.max_tokens,
                           .stop_ids = text.options.stop_ids,
                           .top = text.options.top});
  TextOutput(*lane.model.tokenizer, {}, text.options.stop_texts);
}

Engine::Submitted Engine::submit(std::size_t model, std::vector<TextRequest> texts) {
  Lane& lane = *lanes_.at(model);
  if (texts.empty() || texts.size() > kMostTexts)
    fail(ErrorCode::kInvalidArgument, "{} texts are asked for at once; ask for 1 to {}", texts.size(), kMostTexts);
  for (const TextRequest& text : texts) check(lane, text);
  const auto job = std::make_shared<Job>(std::move(texts));
  {
    const std::lock_guard lock(mutex_);
    if (state_ != Refusal::kNone) return {nullptr, state_};
    // A request that finds a free slot of its model waits for nobody.
    const std::size_t free = lane.model.session->slots() - lane.taken;
    const std::size_t others = counts_.waiting - lane.waiting.size();
    const std::size_t behind = lane.waiting.size() - std::min(lane.waiting.size(), free);
    if (lane.waiting.size() >= free && others + behind >= options_.queue) return {nullptr, Refusal::kQueueFull};
    lane.waiting.push_back(job);
    ++counts_.waiting;
  }
  changed_.notify_one();
  return {job, Refusal::kNone};
}

Engine::Refusal Engine::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

EngineCounts Engine::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void Engine::stop(std::chrono::milliseconds grace) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == Refusal::kNone) state_ = Refusal::kStopping;
    const Clock::time_point end = Clock::now() + grace;
    end_ = end_ ? std::min(*end_, end) : end;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool Engine::work_left() const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [](const auto& lane) { return !lane->waiting.empty() || !lane->running.empty(); });
}

void Engine::run() {
  try {
    while (true) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return work_left() || state_ != Refusal::kNone; });
        if (state_ != Refusal::kNone && (!work_left() || Clock::now() >= end_)) break;
      }
      for (const auto& lane : lanes_) advance(*lane);
    }
    end_all(Error(ErrorCode::kInterrupted, "the server stopped before the text was over"));
  } catch (const std::exception& error) {
    log_warn(fmt::format("no more texts are written: {}", error.what()));
    {
      const std::lock_guard lock(mutex_);
      state_ = Refusal::kDeviceLost;
    }
    end_all(device_failed(error));
  }
}

void Engine::end_all(const Error& error) {
  const std::lock_guard lock(mutex_);
  for (const auto& lane : lanes_) {
    for (const auto& [number, running] : lane->running) running.job->fail_with(error);
    for (const std::shared_ptr<Job>& job : lane->waiting) job->fail_with(error);
    lane->running.clear();
    lane->waiting.clear();
    lane->taken = 0;
  }
  counts_.waiting = counts_.running = 0;
}

void Engine::advance(Lane& lane) {
  drop_cancelled(lane);
  const bool began = begin_texts(lane);
  if (began) drop_cancelled(lane);  // whose prompts were given up
  if (lane.running.empty()) return;
  std::int64_t steps = lane.pace.next(began);
  {
    const std::lock_guard lock(mutex_);
    // Who waits gets a slot as soon as it falls free.
    if (!lane.waiting.empty()) steps = std::min(steps, lane.batch->shortest_left());
  }
  const Clock::time_point start = Clock::now();
  const std::int64_t before = lane.batch->drawn();
  const std::vector<TextBatch::Over> all_over = lane.batch->advance(steps);
  if (!began) lane.pace.took(std::chrono::duration<double>(Clock::now() - start).count(), steps);
  std::uint64_t cancelled = 0;  // seen while the text was told of
  std::vector<std::shared_ptr<Job>> failed;
  for (const TextBatch::Over& over : all_over) {
    cancelled += over.text.finish == Finish::kCancelled;
    const Lane::Running running = lane.running.at(over.sequence);
    lane.running.erase(over.sequence);
    if (over.text.finish == Finish::kNumeric)
      failed.push_back(running.job);
    else
      lane.news[running.job].push_back({.text = running.text, .finish = over.text.finish});
  }
  hand_out(lane);
  for (const std::shared_ptr<Job>& job : failed)
    job->fail_with(Error(ErrorCode::kNumeric, "the model gave no finite log-probability of any token"));
  const std::lock_guard lock(mutex_);
  ++counts_.submissions;
  counts_.written_tokens += static_cast<std::uint64_t>(lane.batch->drawn() - before);
  counts_.texts += all_over.size() - cancelled;
  counts_.cancelled += cancelled;
  counts_.running -= all_over.size();
  lane.taken = lane.running.size();
}

void Engine::drop_cancelled(Lane& lane) {
  const std::lock_guard lock(mutex_);
  std::erase_if(lane.running, [&](const auto& entry) {
    if (!entry.second.job->cancelled_) return false;
    lane.batch->cancel(entry.first);
    ++counts_.cancelled, --counts_.running;
    return true;
  });
  lane.taken = lane.running.size();
  const std::size_t dropped = std::erase_if(lane.waiting, [](const auto& job) { return job->cancelled_.load(); });
  counts_.waiting -= dropped;
}

/// Jobs take turns, a text each, so that one with many does not keep the others waiting.
std::shared_ptr<Job> Engine::next_job(Lane& lane) {
  const std::lock_guard lock(mutex_);
  if (lane.waiting.empty()) return nullptr;
  std::shared_ptr<Job> job = lane.waiting.front();
  lane.waiting.pop_front();
  if (job->next_ + 1 < job->texts_.size())
    lane.waiting.push_back(job);
  else
    --counts_.waiting;
  counts_.prompt_tokens += job->texts_[job->next_].ids.size();
  return job;
}

bool Engine::begin_texts(Lane& lane) {
  bool began = false;
  std::size_t tokens = 0;
  std::vector<TextBatch::Beginning> together;
  while (lane.batch->room() > together.size() && tokens < kPromptTokensAtOnce) {
    const std::shared_ptr<Job> job = next_job(lane);
    if (!job) break;
    tokens += job->texts_[job->next_].ids.size();
    try {
      begin_text(lane, job, together);
    } catch (const std::exception& error) {  // nobody else knows of the job
      const auto* const own = dynamic_cast<const Error*>(&error);
      const bool of_the_text = own != nullptr && own->code() == ErrorCode::kInvalidArgument;
      job->fail_with(of_the_text ? *own : device_failed(error));
      job->cancel();
      if (!of_the_text) throw;
    }
    began = true;
  }
  if (!together.empty()) lane.batch->begin(std::move(together));
  return began;
}

void Engine::begin_text(Lane& lane, const std::shared_ptr<Job>& job, std::vector<TextBatch::Beginning>& together) {
  const std::size_t text = job->next_++;
  {
    const std::lock_guard lock(job->mutex_);
    if (!job->began_) job->began_ = Clock::now();
  }
  TextRequest request = std::move(job->texts_[text]);
  Session& session = *lane.model.session;
  TextEvent event{.text = text};
  OnDistribution visit;
  const std::vector<std::uint32_t> ids = request.ids;
  if (request.score)
    visit = [&](std::size_t position, std::span<const float> log_probs) {
      if (position + 1 < ids.size()) event.prompt.push_back(scored(ids[position + 1], log_probs, request.options.top));
    };
  const bool only_looks = request.distribution || request.options.max_tokens == 0;
  if (request.distribution)
    visit = [&](std::size_t position, std::span<const float> log_probs) {
      if (position + 1 == ids.size()) event.distribution.assign(log_probs.begin(), log_probs.end());
    };
  if (only_looks) {
    if (visit) session.score(session.free_slot().value(), ids, visit);
    event.finish = Finish::kLength;
    job->add({std::move(event)});
    return;
  }
  check(lane, request);  // what is wrong with it is said of this job alone
  std::vector<TextBatch::Beginning> alone;
  const std::size_t number = lane.next_number++;
  (visit ? alone : together)
      .push_back({.sequence = number,
                  .prompt = std::move(request.ids),
                  .options = std::move(request.options),
                  .visit = visit,
                  .wanted = [job] { return !job->cancelled_; }});
  if (visit) lane.batch->begin(std::move(alone));
  lane.running[number] = {job, text};
  if (!event.prompt.empty()) job->add({std::move(event)});
  const std::lock_guard lock(mutex_);
  ++counts_.running;
  lane.taken = lane.running.size();
}

bool Engine::tell(Lane& lane, const GeneratedPiece& piece) {
  const Lane::Running& running = lane.running.at(piece.sequence);
  TextEvent event{.text = running.text, .shown = std::string(piece.text)};
  if (piece.token != nullptr) event.token = *piece.token;
  lane.news[running.job].push_back(std::move(event));
  return !running.job->cancelled_;
}

void Engine::hand_out(Lane& lane) {
  for (auto& [job, events] : lane.news) job->add(std::move(events));
  lane.news.clear();
}

}  // namespace fabula::infer
