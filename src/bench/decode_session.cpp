#include "bench/decode_session.hpp"

#include <algorithm>
#include <chrono>

#include "base/fail.hpp"
#include "base/median.hpp"
#include "base/philox.hpp"
#include "bench/step_bench.hpp"

namespace fabula::bench {
namespace {

using DecodeClock = std::chrono::steady_clock;
double decode_seconds_since(DecodeClock::time_point start) {
  return std::chrono::duration<double>(DecodeClock::now() - start).count();
}

graph::Runtime runtime_with(vk::Device& device, const KernelChoices& choices, const models::LanguageModel& model,
                            const infer::SessionOptions& options, bool timed, infer::SessionGraphs& graphs) {
  graph::Workload workload({device.profile(), choices});
  graphs = infer::add_session_graphs(workload, model, options);
  return graph::Runtime(device, std::move(workload), {.timed = timed});
}

}  // namespace

DecodeSession::DecodeSession(vk::Device& device, const KernelChoices& choices, const models::LanguageModel& model,
                             const infer::ModelFolder* saved, const infer::SessionOptions& options, bool timed)
    : runtime_(runtime_with(device, choices, model, options, timed, graphs_)),
      session_(runtime_, graphs_, model, saved != nullptr ? saved->rows_without_token() : std::vector<std::uint32_t>{}),
      model_(model),
      step_(graphs_.steps.back().index) {
  saved != nullptr ? saved->load_weights(runtime_) : upload_weights(runtime_, model);
  if (device.profile().device_class != vk::DeviceClass::kSoftware) warm_up();
}

// While weights were made on the host the GPU rested, and its clock takes a while to come back: from 345 to 1,980 MHz
// on one that was watched, whose first steps took four times as long. Goes on until steps get no quicker.
void DecodeSession::warm_up() {
  constexpr double kSettled = 0.5, kMost = 5;  // seconds without a quicker one, and in all
  const DecodeClock::time_point begin = DecodeClock::now();
  DecodeClock::time_point improved = begin;
  double quickest = kMost;
  while (decode_seconds_since(improved) < kSettled && decode_seconds_since(begin) < kMost) {
    fill(std::max<std::int64_t>(context() / 2, 1));
    advance_once();
    const DecodeClock::time_point start = DecodeClock::now();
    session_.advance(std::min<std::int64_t>(graphs_.options.most_tokens_at_once, context() / 4));
    const double took = decode_seconds_since(start);
    if (took < 0.97 * quickest) quickest = took, improved = DecodeClock::now();
    stop_all();
  }
}

void DecodeSession::start(std::size_t slot, std::int64_t tokens) {
  Philox random(7, slot);
  std::vector<std::uint32_t> ids(static_cast<std::size_t>(tokens));
  for (std::uint32_t& id : ids) id = random.below(static_cast<std::uint32_t>(model_.head().vocabulary()));
  infer::SequenceOptions options;  // no stop token: a text that ends would make the others' steps cheaper
  options.sampler.seed = slot;
  session_.start(slot, ids, options);
}

void DecodeSession::fill(std::int64_t tokens) {
  for (std::size_t slot = 0; slot < session_.slots(); ++slot) start(slot, tokens);
}

void DecodeSession::stop_all() {
  for (std::size_t slot = 0; slot < session_.slots(); ++slot) session_.stop(slot);
}

void DecodeSession::advance_once() {
  ensure(session_.advance(1).size() == session_.slots(), "a text has ended while it was measured");
}

DecodeTime DecodeSession::decode(std::int64_t context, int repeats) {
  const std::int64_t at_once = std::clamp<std::int64_t>(context / 4, 1, graphs_.options.most_tokens_at_once);
  const std::int64_t rounds = std::clamp<std::int64_t>(context / 2 / at_once, 1, repeats + 1);
  const std::int64_t prompt = context - rounds * at_once - 1;  // one token is drawn before the clock runs
  ensure(prompt >= 1 && context <= this->context(), "no room for {} tokens to time in {}", rounds * at_once, context);
  std::vector<double> seconds;
  std::uint64_t submissions = 0;
  for (bool warm = false; seconds.size() < static_cast<std::size_t>(repeats); stop_all()) {
    fill(prompt);
    advance_once();
    for (std::int64_t round = 0; round < rounds && seconds.size() < static_cast<std::size_t>(repeats); ++round) {
      const std::uint64_t before = runtime_.device().submissions();
      const DecodeClock::time_point begin = DecodeClock::now();
      const std::size_t drawn = session_.advance(at_once).size();
      const double took = decode_seconds_since(begin);
      ensure(drawn == static_cast<std::size_t>(at_once) * session_.slots(), "a text has ended while it was measured");
      if (!std::exchange(warm, true)) continue;
      seconds.push_back(took / static_cast<double>(at_once));
      submissions += runtime_.device().submissions() - before;
    }
  }
  return {.seconds = median(seconds),
          .submissions = static_cast<double>(submissions) / static_cast<double>(at_once * repeats),
          .keys = static_cast<double>(prompt + 1) + 0.5 * static_cast<double>(rounds * at_once + 1)};
}

PromptTime DecodeSession::prompt(std::int64_t tokens, int repeats) {
  std::vector<double> pass, first;
  for (int number = 0; number <= 2 * repeats + 1; ++number) {  // by turns, the first of each to warm up
    const bool waits = number % 2 == 0;
    const DecodeClock::time_point begin = DecodeClock::now();
    start(0, tokens);
    waits ? runtime_.wait() : void(session_.advance(1));
    if (number > 1) (waits ? pass : first).push_back(decode_seconds_since(begin));
    runtime_.wait();
    session_.stop(0);
  }
  return {.tokens = tokens, .pass = median(pass), .first_token = median(first)};
}

}  // namespace fabula::bench
