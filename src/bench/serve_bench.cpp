#include "bench/serve_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/decode_slot.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/median.hpp"
#include "bench/machine.hpp"
#include "serve/http_client.hpp"
#include "serve/server.hpp"

namespace fabula::bench {
namespace {

using ServeClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr double kServeTemperature = 0.8;

double seconds_between(ServeClock::time_point from, ServeClock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// What one reader saw.
struct StreamTime {
  ServeClock::time_point sent, first, last;
  bool whole = false;
};

struct RoundTime {
  double tokens_per_second = 0, slowest_of_fastest = 0, first = 0;
};

/// The session alone, stepped as an engine steps it.
struct AloneTime {
  double first = 0, tokens_per_second = 0;
};

std::vector<std::uint32_t> bench_prompt(const ServeBenchOptions& options, std::int64_t vocabulary) {
  std::vector<std::uint32_t> ids;
  for (std::int64_t i = 0; i < options.prompt; ++i)
    ids.push_back(static_cast<std::uint32_t>((7919 * (i + 1)) % vocabulary));
  return ids;
}

AloneTime time_alone(infer::Session& session, const std::vector<std::uint32_t>& prompt,
                     const infer::SequenceOptions& options) {
  const std::size_t slot = session.free_slot().value();
  const ServeClock::time_point start = ServeClock::now();
  session.start(slot, prompt, options);
  infer::Pace pace;
  session.advance(pace.next(true));
  const ServeClock::time_point first = ServeClock::now();
  while (session.is_active(slot)) {
    const ServeClock::time_point begin = ServeClock::now();
    const std::int64_t steps = pace.next(false);
    session.advance(steps);
    pace.took(seconds_between(begin, ServeClock::now()), steps);
  }
  return {seconds_between(start, first),
          static_cast<double>(options.max_tokens) / seconds_between(start, ServeClock::now())};
}

class ServeBench {
 public:
  ServeBench(const vk::DeviceOptions& device, const std::filesystem::path& run, const ServeBenchOptions& options)
      : options_(options), most_(*std::max_element(options.streams.begin(), options.streams.end())) {
    serve::ServerOptions server_options;
    server_options.http.threads = static_cast<std::size_t>(most_) + 8;
    server_.emplace(server_options);
    auto service = std::make_unique<serve::Service>(
        serve::ServiceOptions{.models = {{"bench", run}}, .slots = most_, .device = device});
    const serve::ServedModel& model = service->models().front();
    if (options.prompt + options.tokens > model.session->context())
      fail(ErrorCode::kInvalidArgument, "a prompt of {} tokens and {} more are asked for, the context holds {}",
           options.prompt, options.tokens, model.session->context());
    prompt_ = bench_prompt(options, model.folder->model().head().vocabulary());
    // No text ends before it has all of its tokens.
    sequence_ = {.sampler = {.temperature = kServeTemperature}, .max_tokens = options.tokens};
    for (const std::uint32_t id : model.folder->stop_ids())
      sequence_.sampler.logit_bias.emplace_back(id, -double{kExcluded});
    session_ = model.session.get();
    notes_ = machine_notes(*service->device().device, service->device().choices);
    notes_.push_back(fmt::format("{}; {} slots", models::describe(model.folder->model()), most_));
    server_->serve(std::move(service));
  }

  Table run() {
    Table table{{"streams", "tokens/s", "times one stream", "slowest, % of fastest", "first byte ms"}, {}, notes_};
    std::vector<double> speeds, firsts;
    // In turns, so that both meet the same machine.
    const RoundTime one = typical(1, [&] {
      const AloneTime time = time_alone_again();
      speeds.push_back(time.tokens_per_second), firsts.push_back(time.first);
    });
    const double alone = median(speeds), first = median(firsts);
    table.notes.push_back(fmt::format("prompts of {} tokens, {} written for each stream; medians of {}",
                                      options_.prompt, options_.tokens, options_.repeats));
    table.notes.push_back(
        fmt::format("the session without a server: {:.1f} tokens/s, first token after {:.1f} ms; the server takes "
                    "{:.1f} % at one stream, and its first byte comes {:.1f} ms later",
                    alone, 1e3 * first, 100 * (1 - one.tokens_per_second / alone), 1e3 * (one.first - first)));
    for (const std::int64_t streams : options_.streams) {
      const RoundTime time = streams == 1 ? one : typical(streams);
      table.rows.push_back({std::to_string(streams), fmt::format("{:.1f}", time.tokens_per_second),
                            fmt::format("{:.2f}", time.tokens_per_second / one.tokens_per_second),
                            fmt::format("{:.1f}", 100 * time.slowest_of_fastest),
                            fmt::format("{:.1f}", 1e3 * time.first)});
      info("{} streams: {} tokens/s", streams, table.rows.back()[1]);
    }
    return table;
  }

 private:
  std::string body(std::size_t stream) const {
    nlohmann::json json{{"prompt", prompt_},
                        {"max_tokens", options_.tokens},
                        {"stream", true},
                        {"temperature", kServeTemperature},
                        {"seed", stream}};
    for (const auto& [id, bias] : sequence_.sampler.logit_bias) json["logit_bias"][std::to_string(id)] = -100;
    return json.dump();
  }

  StreamTime read_stream(std::size_t stream) const {
    serve::ClientConnection connection(server_->port());
    StreamTime time;
    time.sent = ServeClock::now();
    connection.send(serve::request_bytes("POST", "/v1/completions", body(stream)));
    std::string bytes;
    while (!connection.ended()) {
      const std::string more = connection.receive(milliseconds(60000));
      if (more.empty()) break;
      const bool began = bytes.find("data: ") != std::string::npos;
      bytes += more;
      if (!began && bytes.find("data: ") != std::string::npos) time.first = ServeClock::now();
      time.last = ServeClock::now();
    }
    time.whole = bytes.find("\"finish_reason\":\"length\"") != std::string::npos &&
                 bytes.find("data: [DONE]") != std::string::npos;
    return time;
  }

  RoundTime round(std::int64_t streams) const {
    std::vector<StreamTime> times(static_cast<std::size_t>(streams));
    std::vector<std::thread> readers;
    for (std::size_t i = 0; i < times.size(); ++i)
      readers.emplace_back([this, i, &times] {
        try {
          times[i] = read_stream(i);
        } catch (const Error&) {
          times[i].whole = false;  // told below
        }
      });
    for (std::thread& reader : readers) reader.join();
    ServeClock::time_point begin = times.front().sent, end = times.front().last;
    std::vector<double> speeds, firsts;
    for (const StreamTime& time : times) {
      ensure(time.whole, "a stream of {} was cut short", streams);
      begin = std::min(begin, time.sent), end = std::max(end, time.last);
      speeds.push_back(static_cast<double>(options_.tokens) / seconds_between(time.sent, time.last));
      firsts.push_back(seconds_between(time.sent, time.first));
    }
    const auto [slowest, fastest] = std::minmax_element(speeds.begin(), speeds.end());
    return {.tokens_per_second = static_cast<double>(streams * options_.tokens) / seconds_between(begin, end),
            .slowest_of_fastest = *slowest / *fastest,
            .first = median(firsts)};
  }

  /// The session between two rounds: the engine waits for requests, and its counts are read behind its last step.
  AloneTime time_alone_again() const {
    while (server_->service().engine().counts().running > 0) std::this_thread::sleep_for(milliseconds(1));
    return time_alone(*session_, prompt_, sequence_);
  }

  RoundTime typical(std::int64_t streams, const std::function<void()>& between = {}) const {
    round(streams);  // a warm-up
    if (between) time_alone_again();
    std::vector<RoundTime> rounds;
    for (int i = 0; i < options_.repeats; ++i) {
      rounds.push_back(round(streams));
      if (between) between();
    }
    std::sort(rounds.begin(), rounds.end(),
              [](const RoundTime& a, const RoundTime& b) { return a.tokens_per_second < b.tokens_per_second; });
    return rounds[rounds.size() / 2];
  }

  ServeBenchOptions options_;
  std::int64_t most_;
  mutable std::optional<serve::Server> server_;
  infer::Session* session_ = nullptr;
  std::vector<std::uint32_t> prompt_;
  infer::SequenceOptions sequence_;
  std::vector<std::string> notes_;
};

}  // namespace

Table bench_serve(const vk::DeviceOptions& device, const std::filesystem::path& run, const ServeBenchOptions& options) {
  return ServeBench(device, run, options).run();
}

}  // namespace fabula::bench
