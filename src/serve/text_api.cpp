#include "serve/text_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "base/decode_slot.hpp"
#include "base/log.hpp"
#include "serve/answer.hpp"
#include "serve/errors.hpp"

namespace fabula::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kMostSilence(10);
constexpr std::int64_t kDefaultTokens = 16;
constexpr double kRulesOut = -100;                 // a bias of so much is no bias
constexpr std::int64_t kMostLogProbs = 1'000'000;  // of an answer: some 100 MB while it is made

std::uint64_t random_bits() {
  static thread_local std::mt19937_64 random(std::random_device{}());
  return random();
}

infer::SamplerOptions sampler_of(const TextOptions& options, std::int64_t vocabulary) {
  infer::SamplerOptions sampler = options.sampler;
  for (auto& [id, bias] : sampler.logit_bias) {
    if (id >= vocabulary)
      throw RequestError(400, fmt::format("\"logit_bias\" has token id {}, the model has {} tokens", id, vocabulary),
                         "logit_bias");
    if (bias <= kRulesOut) bias = -double{kExcluded};
  }
  if (!options.seed_given) sampler.seed = random_bits();
  return sampler;
}

/// A request on its way to its answer.
struct Exchange {
  AnswerHead head;
  std::shared_ptr<infer::Job> job;
  std::vector<Choice> choices;
  std::int64_t prompt_tokens = 0;
  bool timings = false;

  Usage usage() const {
    Usage usage{.prompt = prompt_tokens};
    for (const Choice& choice : choices) usage.completion += choice.written();
    return usage;
  }
  /// Whether or not its answer was ever begun, nobody reads on.
  ~Exchange() {
    if (job) job->cancel();
  }
  std::optional<infer::JobTimes> times() const { return timings ? std::optional(job->times()) : std::nullopt; }
};

std::int64_t tokens_to_write(const Service& service, std::size_t model, const TextOptions& options, bool chat,
                             std::size_t prompt) {
  const std::int64_t context = service.models()[model].session->context();
  const std::int64_t room = context - static_cast<std::int64_t>(prompt);
  if (options.max_tokens.value_or(1) == 0) return 0;
  const std::int64_t wanted = options.max_tokens.value_or(chat ? room : std::min(kDefaultTokens, room));
  const bool capped = service.options().cap_max_tokens && room > 0;
  if (wanted >= 1 && (wanted <= room || capped)) return std::min(wanted, room);
  throw RequestError(400,
                     fmt::format("the prompt has {} tokens and {} more are asked for; the model's context holds {}: "
                                 "shorten the prompt or lower \"max_tokens\"",
                                 prompt, std::max<std::int64_t>(wanted, 1), context),
                     "max_tokens", "context_length_exceeded");
}

std::string echo_of(const text::Tokenizer& tokenizer, const Prompt& prompt, const PromptIds& ids) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
  return tokenizer.decode(std::span(ids.ids).subspan(ids.before_text));
}

std::shared_ptr<Exchange> begin(Service& service, const HttpPeer& peer, const std::vector<Prompt>& prompts,
                                const TextOptions& options, bool echo, AnswerKind kind) {
  const std::size_t number = service.find(options.model);
  const ServedModel& model = service.models()[number];
  const bool chat = kind == AnswerKind::kChat;
  if (prompts.size() * static_cast<std::size_t>(options.n) > infer::kMostTexts)
    throw RequestError(400,
                       fmt::format("{} prompts with {} choices each are asked for; at most {} texts can be",
                                   prompts.size(), options.n, infer::kMostTexts),
                       "prompt");
  auto exchange = std::make_shared<Exchange>();
  exchange->timings = options.timings;
  exchange->head = {
      .kind = kind,
      .id = fmt::format("{}-{:016x}{:016x}", chat ? "chatcmpl" : "cmpl", random_bits(), random_bits()),
      .model = model.name,
      .created =
          std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(),
      .tokenizer = &model.folder->tokenizer(),
      .logprobs = options.logprobs.has_value(),
      .return_tokens = options.return_tokens,
      .usage = options.include_usage};
  const text::Tokenizer& tokenizer = model.folder->tokenizer();
  infer::GenerateOptions writing{.sampler = sampler_of(options, model.folder->model().head().vocabulary()),
                                 .stop_ids = model.folder->stop_ids(),
                                 .stop_texts = options.stops,
                                 .top = options.logprobs.value_or(0)};
  std::vector<infer::TextRequest> texts;
  std::int64_t log_probs = 0;
  for (const Prompt& prompt : prompts) {
    const PromptIds ids = service.prompt_ids(number, prompt);
    writing.max_tokens = tokens_to_write(service, number, options, chat, ids.ids.size());
    const auto prompt_tokens = static_cast<std::int64_t>(ids.ids.size());
    exchange->prompt_tokens += prompt_tokens;
    if (options.logprobs)
      log_probs += options.n * ((echo ? prompt_tokens : 0) + writing.max_tokens) * (1 + *options.logprobs);
    if (log_probs > kMostLogProbs)
      throw RequestError(400,
                         fmt::format("more than {} log-probabilities are asked for; ask for fewer texts at once, or "
                                     "lower \"logprobs\"",
                                     kMostLogProbs),
                         "logprobs");
    for (std::int64_t i = 0; i < options.n; ++i) {
      exchange->choices.emplace_back(tokenizer, Choice::Options{.echo = echo ? echo_of(tokenizer, prompt, ids) : "",
                                                                .prompt = ids.ids,
                                                                .before_text = ids.before_text,
                                                                .stop_ids = writing.stop_ids,
                                                                .echoes = echo,
                                                                .tokens = options.logprobs || options.return_tokens});
      texts.push_back({.ids = ids.ids, .options = writing, .score = echo && options.logprobs.has_value()});
      ++writing.sampler.seed;
    }
  }
  check_peer(peer);
  exchange->job = service.submit(number, std::move(texts));
  return exchange;
}

void add_piece(ChoicePiece& to, ChoicePiece piece) {
  to.text += piece.text;
  std::move(piece.tokens.begin(), piece.tokens.end(), std::back_inserter(to.tokens));
  if (piece.finish) to.finish = piece.finish;
}

HttpAnswer whole_answer(Exchange& exchange, const HttpPeer& peer) {
  std::vector<ChoicePiece> choices(exchange.choices.size());
  follow(*exchange.job, peer, [&](const infer::TextEvent& event) {
    add_piece(choices[event.text], exchange.choices[event.text].add(event));
  });
  return {.body = answer_json(exchange.head, choices, exchange.usage(), exchange.times())};
}

/// The events that what came since makes; one for each token that can be told, so that a text is always cut the same.
std::string events_of(Exchange& exchange, const std::vector<infer::TextEvent>& came) {
  std::string events;
  for (const infer::TextEvent& event : came) {
    const ChoicePiece piece = exchange.choices[event.text].add(event);
    if (!piece.text.empty() || !piece.tokens.empty() || piece.finish)
      events += piece_event(exchange.head, event.text, piece);
  }
  return events;
}

/// False when nobody reads any more.
bool stream_texts(Exchange& exchange, const HttpPeer& peer, const HttpAnswer::Write& write) {
  std::string events;
  if (exchange.head.kind == AnswerKind::kChat)
    for (std::size_t i = 0; i < exchange.choices.size(); ++i) events += role_event(exchange.head, i);
  Clock::time_point last = Clock::now();
  while (true) {
    if (events.empty() && Clock::now() - last >= kMostSilence) events = kKeepAlive;
    if (!events.empty()) {
      if (!write(events)) return false;
      last = Clock::now();
    }
    if (exchange.job->is_over()) return true;
    events = events_of(exchange, exchange.job->take(kClientLook));
    if (!peer.is_there()) return false;
  }
}

void stream(Exchange& exchange, const HttpPeer& peer, const HttpAnswer::Write& write) {
  bool there = true;
  std::string last;
  try {
    there = stream_texts(exchange, peer, write);
    if (exchange.head.usage) last = usage_event(exchange.head, exchange.usage(), exchange.times());
  } catch (const Error& error) {
    if (error_status(error) == 500) log_warn(error.what());
    last = error_event(error_json(error));
  } catch (const std::exception& error) {  // nothing above catches it: the head is sent
    log_warn(error.what());
    last = error_event(error_json(500, "something went wrong in the server; its log says more"));
  }
  if (!exchange.job->is_over() || !there) exchange.job->cancel();
  if (there) write(last + std::string(kDoneEvent));
}

HttpAnswer answer(const std::shared_ptr<Exchange>& exchange, const HttpPeer& peer, bool streams) {
  if (!streams) return whole_answer(*exchange, peer);
  HttpAnswer answer{.type = "text/event-stream",
                    .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}};
  // Shared, because a std::function is copied.
  answer.stream = [exchange, &peer](const HttpAnswer::Write& write) { stream(*exchange, peer, write); };
  return answer;
}

}  // namespace

std::string joined_messages(const std::vector<ChatMessage>& messages) {
  std::string text;
  for (const ChatMessage& message : messages) {
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    text += message.content;
  }
  return text;
}

HttpAnswer answer_completion(Service& service, const HttpRequest& request, const HttpPeer& peer) {
  const CompletionRequest asked = parse_completion(request.body);
  return answer(begin(service, peer, asked.prompts, asked.options, asked.echo, AnswerKind::kCompletion), peer,
                asked.options.stream);
}

HttpAnswer answer_chat(Service& service, const HttpRequest& request, const HttpPeer& peer) {
  const ChatRequest asked = parse_chat(request.body);
  if (!service.options().join_messages)
    throw RequestError(400, "the model has no chat format; use /v1/completions, or start the server with --chat join",
                       "messages", "no_chat_format");
  const std::vector<Prompt> prompts{Prompt(joined_messages(asked.messages))};
  return answer(begin(service, peer, prompts, asked.options, false, AnswerKind::kChat), peer, asked.options.stream);
}

}  // namespace fabula::serve
