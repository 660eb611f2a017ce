#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/signals.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "infer/generator.hpp"
#include "infer/model_folder.hpp"
#include "json_output.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::app {
namespace {

constexpr std::int64_t kMostSlotsByDefault = 32;

/// "ID=BIAS".
std::pair<std::uint32_t, double> parse_bias(const std::string& text) {
  std::pair<std::uint32_t, double> bias{};
  const char *begin = text.data(), *end = begin + text.size();
  const auto id = std::from_chars(begin, end, bias.first);
  if (id.ec == std::errc() && id.ptr != end && *id.ptr == '=') {
    const auto value = std::from_chars(id.ptr + 1, end, bias.second);
    if (value.ec == std::errc() && value.ptr == end) return bias;
  }
  fail(ErrorCode::kInvalidArgument, "--logit-bias {}: ID=BIAS is expected, as in 198=-2.5", text);
}

std::vector<std::string> prompts_of(const GenerateArgs& args) {
  std::vector<std::string> prompts;
  if (args.lines) {
    for (std::string line; std::getline(std::cin, line);) prompts.push_back(line);
    if (prompts.empty()) fail(ErrorCode::kInvalidArgument, "--lines: standard input has no line");
  } else if (args.prompt == "-") {
    prompts.emplace_back(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  } else {
    prompts.push_back(args.prompt);
  }
  const std::vector<std::string> once = prompts;
  for (std::int64_t n = 1; n < args.samples; ++n) prompts.insert(prompts.end(), once.begin(), once.end());
  return prompts;
}

/// What a run shows: a single text as it comes, several one after another, JSON at the end.
class Output {
 public:
  Output(const GenerateArgs& args, std::vector<std::string> prompts, const infer::GenerateOptions& options)
      : args_(args), prompts_(std::move(prompts)), options_(options), so_far_(prompts_.size()) {}

  void begin() const {
    if (streams()) print("{}", prompts_.front()), std::fflush(stdout);
  }

  bool add(const infer::GeneratedPiece& piece) {
    so_far_[piece.sequence].text += piece.text;
    if (piece.token != nullptr) so_far_[piece.sequence].tokens.push_back(*piece.token);
    if (streams()) print("{}", piece.text), std::fflush(stdout);
    return !signals_.requested();
  }

  void end(std::size_t sequence, const infer::Generated& text) {
    so_far_[sequence] = text;
    over_.resize(prompts_.size(), false);
    over_[sequence] = true;
    if (args_.json || streams()) return;
    for (; shown_ < over_.size() && over_[shown_]; ++shown_) show(shown_);
  }

  void finish(const char* error = nullptr) {
    if (args_.json)
      print_json(error);
    else if (streams())
      print("\n"), std::fflush(stdout);
    else
      for (; error != nullptr && shown_ < prompts_.size(); ++shown_)
        if (!so_far_[shown_].text.empty()) show(shown_);
  }

  bool stopped() const { return signals_.requested(); }
  const infer::Generated& first() const { return so_far_.front(); }

 private:
  bool streams() const { return prompts_.size() == 1 && !args_.json; }

  void show(std::size_t n) {
    print("{}{}{}\n", n > 0 ? "\n---\n\n" : "", prompts_[n], so_far_[n].text);
    std::fflush(stdout);
  }

  void print_json(const char* error) const {
    Json list = Json::array();
    for (std::size_t n = 0; n < prompts_.size(); ++n) {
      const infer::Generated& text = so_far_[n];
      const bool over = n < over_.size() && over_[n];
      if (!over && text.tokens.empty()) continue;
      Json tokens = Json::array();
      for (const infer::GeneratedToken& token : text.tokens) {
        tokens.push_back({{"id", token.id}, {"log_prob", number(token.log_prob)}});
        if (args_.top == 0) continue;
        Json top = Json::array();
        for (const auto& [id, log_prob] : token.top) top.push_back({{"id", id}, {"log_prob", number(log_prob)}});
        tokens.back()["top"] = std::move(top);
      }
      list.push_back({{"prompt", prompts_[n]}, {"text", text.text}, {"seed", options_.sampler.seed + n}});
      if (over) list.back()["prompt_tokens"] = text.prompt_tokens;
      if (over) list.back()["finish_reason"] = std::string(infer::finish_name(text.finish));
      list.back()["tokens"] = std::move(tokens);
      if (!over && error != nullptr) list.back()["error"] = error;
    }
    if (error == nullptr || !list.empty()) print("{}\n", dump(list, 2));
  }

  const GenerateArgs& args_;
  std::vector<std::string> prompts_;
  const infer::GenerateOptions& options_;
  std::vector<infer::Generated> so_far_;
  std::vector<bool> over_;
  std::size_t shown_ = 0;
  StopSignals signals_;
};

/// A cache that does not fit is said with how many slots would.
graph::Runtime make_runtime(vk::Device& device, graph::Workload workload, std::int64_t slots) {
  const double slot_mib = static_cast<double>(workload.report().caches) / static_cast<double>(slots) / (1 << 20);
  try {
    return graph::Runtime(device, std::move(workload));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOutOfMemory || slots == 1) throw;
    fail(ErrorCode::kOutOfMemory,
         "{}\nA slot's keys and values take {:.1f} MiB, {} slots were asked for: try --slots {}", error.what(),
         slot_mib, slots, slots / 2);
  }
}

void say_how_it_went(const infer::GenerateTimes& times, const Output& output, std::size_t texts) {
  const auto rate = [](std::int64_t tokens, double seconds) {
    return seconds > 0 ? fmt::format("{:.0f} tokens/s", static_cast<double>(tokens) / seconds) : std::string("-");
  };
  const std::string ended = texts == 1 ? fmt::format("ended by {}", infer::finish_name(output.first().finish))
                                       : fmt::format("{} texts", texts);
  log_info(fmt::format("{} tokens read in {:.3f} s ({}); {} tokens written, {}; {}", times.prompt_tokens,
                       times.first_token, rate(times.prompt_tokens, times.first_token),
                       times.decoded + static_cast<std::int64_t>(texts), rate(times.decoded, times.decode), ended));
}

}  // namespace

graph::DType cache_type(const std::string& name) {
  for (const graph::DType type : {graph::DType::kF16, graph::DType::kBF16})
    if (name == to_string(type)) return type;
  return graph::DType::kF32;
}

int generate(const GenerateArgs& args) {
  infer::GenerateOptions options{.sampler = args.sampler, .max_tokens = args.max_tokens};
  for (const std::string& bias : args.biases) options.sampler.logit_bias.push_back(parse_bias(bias));
  options.stop_texts = args.stops;
  options.slide = args.at_context_end == "slide";
  options.top = args.top;
  infer::validate(options.sampler);
  const infer::ModelFolder folder(args.run, args.end_token, {.weights = weights::parse_format(args.weights)});
  warn_of_tokenizer(folder.tokenizer());
  options.stop_ids = folder.stop_ids();
  std::vector<std::string> prompts = prompts_of(args);
  const auto [device, choices] = tuning::open_tuned_device(args.device);
  graph::Workload workload({device->profile(), choices});
  infer::SessionOptions session_options{.slots = args.slots, .context = args.context, .cache = cache_type(args.cache)};
  if (args.slots == 0) session_options.slots = std::min(static_cast<std::int64_t>(prompts.size()), kMostSlotsByDefault);
  infer::SessionGraphs graphs = infer::add_session_graphs(workload, folder.model(), session_options);
  graph::Runtime runtime = make_runtime(*device, std::move(workload), session_options.slots);
  folder.load_weights(runtime);
  infer::Session session(runtime, std::move(graphs), folder.model(), folder.rows_without_token());
  infer::Generator generator(session, folder.tokenizer(), folder.model().head().vocabulary(), folder.start_id());
  // What is wrong with a prompt is said before anything is printed.
  for (const std::string& prompt : prompts) generator.encode_prompt(prompt);
  Output output(args, prompts, options);
  output.begin();
  try {
    generator.generate(
        std::span<const std::string>(prompts), options,
        [&](const infer::GeneratedPiece& piece) { return output.add(piece); },
        [&](std::size_t sequence, const infer::Generated& text) { output.end(sequence, text); });
  } catch (const Error& error) {
    output.finish(error.what());  // what there is of it belongs to the user all the same
    throw;
  }
  output.finish();
  device->save_pipeline_cache();
  say_how_it_went(generator.times(), output, prompts.size());
  return output.stopped() ? 130 : 0;
}

}  // namespace fabula::app
