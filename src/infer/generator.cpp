#include "infer/generator.hpp"

#include <chrono>
#include <deque>

#include "base/fail.hpp"
#include "infer/model_folder.hpp"

namespace fabula::infer {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Generator::Generator(Session& session, const text::Tokenizer& tokenizer, std::int64_t vocabulary,
                     std::optional<std::uint32_t> start_id)
    : session_(session), tokenizer_(tokenizer), vocabulary_(vocabulary), start_id_(start_id) {}

std::vector<std::uint32_t> Generator::encode_prompt(std::string_view prompt) const {
  std::vector<std::uint32_t> ids = tokenizer_.encode(prompt, {.added_tokens = true});
  refuse_ids_beyond(vocabulary_, ids, tokenizer_);
  const std::int64_t context = session_.context();
  if (static_cast<std::int64_t>(ids.size()) > context)
    fail(ErrorCode::kInvalidArgument, "the prompt has {} tokens, the model's context holds {}; shorten the prompt",
         ids.size(), context);
  // A prompt is the start of a document, and in training every document follows an end-of-text token: without it the
  // first words come from a context that the model never saw.
  const bool starts_document = start_id_ && static_cast<std::int64_t>(ids.size()) < context;
  if (starts_document && (ids.empty() || ids.front() != *start_id_)) ids.insert(ids.begin(), *start_id_);
  if (ids.empty())
    fail(ErrorCode::kInvalidArgument,
         "the prompt is empty and no token is known to start from; name one with --end-token");
  return ids;
}

Generated Generator::generate(std::string_view prompt, const GenerateOptions& options, const OnPiece& on_piece) {
  const std::string prompts[] = {std::string(prompt)};
  return generate(std::span<const std::string>(prompts), options, on_piece).front();
}

std::vector<Generated> Generator::generate(std::span<const std::string> prompts, const GenerateOptions& options,
                                           const OnPiece& on_piece, const OnEnd& on_end) {
  validate(options.sampler);
  std::deque<std::vector<std::uint32_t>> waiting;
  // What is wrong with any of them is said before the first begins.
  for (const std::string& prompt : prompts) waiting.push_back(encode_prompt(prompt));
  TextOutput(tokenizer_, {}, options.stop_texts);
  std::vector<Generated> results(prompts.size());
  TextBatch batch(session_, tokenizer_, on_piece);
  Pace pace;
  while (!waiting.empty() || !batch.is_idle()) {
    const Clock::time_point start = Clock::now();
    std::vector<TextBatch::Beginning> beginnings;
    for (; !waiting.empty() && beginnings.size() < batch.room(); waiting.pop_front()) {
      times_.prompt_tokens += static_cast<std::int64_t>(waiting.front().size());
      const std::size_t sequence = prompts.size() - waiting.size();
      GenerateOptions own = options;
      own.sampler.seed += sequence;
      beginnings.push_back({.sequence = sequence, .prompt = std::move(waiting.front()), .options = own});
    }
    const bool began = !beginnings.empty();
    if (began) batch.begin(std::move(beginnings));
    const std::int64_t drawn = batch.drawn();
    const Clock::time_point submitted = Clock::now();
    const std::int64_t steps = pace.next(began);
    for (TextBatch::Over& over : batch.advance(steps)) {
      if (over.text.finish == Finish::kNumeric)
        fail(ErrorCode::kNumeric, "the model gave no finite log-probability of any token at position {}",
             over.text.prompt_tokens + static_cast<std::int64_t>(over.text.tokens.size()));
      results[over.sequence] = std::move(over.text);
      if (on_end) on_end(over.sequence, results[over.sequence]);
    }
    if (!began) pace.took(seconds_since(submitted), steps);
    (began ? times_.first_token : times_.decode) += seconds_since(start);
    if (!began) times_.decoded += batch.drawn() - drawn;
  }
  return results;
}

}  // namespace fabula::infer
