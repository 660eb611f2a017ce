#include <algorithm>
#include <limits>

#include "api/handles.hpp"
#include "api/session_object.hpp"
#include "api/structs.hpp"

namespace fabula::api {
namespace {

constexpr std::int32_t kMostTokens = 16;  ///< of one fabula_session_next

infer::GenerateOptions generate_options(const fabula_text_options* options, const infer::ModelFolder& folder) {
  const fabula_text_options given = options_or(options, fabula_text_options_default(), "fabula_text_options");
  unused(given.reserved, "fabula_text_options");
  infer::GenerateOptions result{.sampler = {.temperature = given.temperature,
                                            .top_k = given.top_k,
                                            .top_p = given.top_p,
                                            .min_p = given.min_p,
                                            .repetition_penalty = given.repetition_penalty,
                                            .presence_penalty = given.presence_penalty,
                                            .frequency_penalty = given.frequency_penalty,
                                            .seed = given.seed},
                                .max_tokens = given.max_tokens,
                                .stop_ids = folder.stop_ids(),
                                .slide = given.slide != 0,
                                .top = given.top};
  if (given.bias_count > 0) required(given.biases, "the list of biases");
  for (const fabula_bias& bias : std::span(given.biases, given.bias_count))
    result.sampler.logit_bias.emplace_back(bias.id, bias.bias);
  if (given.stop_count > 0) required(given.stops, "the list of stop texts");
  for (const char* stop : std::span(given.stops, given.stop_count))
    result.stop_texts.emplace_back(&required(stop, "a stop text"));
  return result;
}

fabula_token told(std::int64_t text, const TextEvent& event) {
  return {.size = sizeof(fabula_token),
          .text = text,
          .piece = event.piece.c_str(),
          .piece_bytes = event.piece.size(),
          .top = event.top.data(),
          .top_count = event.top.size(),
          .log_p = event.log_p,
          .group_log_p = event.group_log_p,
          .token_log_p = event.token_log_p,
          .group = event.group,
          .id = event.id,
          .finish = event.finish};
}

/// Tells of an event; whether the reader wants to hear more. A reader that throws does not.
bool tell_event(SessionObject& session, SessionText& text, const TextEvent& event, fabula_token_callback callback,
                void* user) {
  if (callback == nullptr) return true;
  const fabula_token token = told(text.number, event);
  bool wanted = false;
  try {
    wanted = tell([&] { return callback(user, &token); }) == 0;
  } catch (...) {
    session.abandon(text);
    throw;
  }
  if (!wanted) session.abandon(text);
  return wanted;
}

void generate(SessionObject& session, std::vector<std::uint32_t> ids, const infer::GenerateOptions& options,
              fabula_token_callback callback, void* user, fabula_text_result* result) {
  if (result != nullptr) checked_size(*result, "fabula_text_result");
  const std::shared_ptr<SessionText> text = session.begin(std::move(ids), options, SessionObject::Reader::kOwn);
  fabula_text_result went{.size = sizeof went,
                          .text = text->number,
                          .prompt_tokens = text->result.prompt_tokens,
                          .tokens = 0,
                          .finish = FABULA_FINISH_NONE};
  bool wanted = true;
  try {
    while (went.finish == FABULA_FINISH_NONE) {
      for (const TextEvent& event : session.read(*text)) {
        went.tokens += event.id != FABULA_NO_TOKEN;
        wanted = tell_event(session, *text, event, callback, user);
        went.finish = wanted || event.finish != FABULA_FINISH_NONE ? event.finish : FABULA_FINISH_CANCELLED;
        if (!wanted) break;
      }
    }
  } catch (...) {
    session.abandon(*text);
    throw;
  }
  if (result != nullptr) fill(result, went, "fabula_text_result");
}

void next(SessionObject& session, std::int32_t tokens, fabula_token_callback callback, void* user,
          std::size_t* active) {
  const SessionObject::NextTurn turn(session);
  const std::int32_t most = tokens == 0 ? kMostTokens : tokens;
  for (const std::shared_ptr<SessionText>& text : session.next(tokens)) {
    // More may have come meanwhile, where another thread's text was written: that is for the next time.
    std::int32_t told_of = 0;
    while (const std::optional<TextEvent> event = session.take(*text, told_of == most)) {
      told_of += event->id != FABULA_NO_TOKEN;
      tell_event(session, *text, *event, callback, user);
    }
  }
  if (active != nullptr) *active = session.active_next();
}

std::vector<std::uint32_t> copy_of(std::span<const std::uint32_t> ids) {
  return {ids.begin(), ids.end()};
}

}  // namespace
}  // namespace fabula::api

using namespace fabula;
using api::SessionObject;

fabula_status fabula_session_open(fabula_device* device, fabula_model* model, const fabula_session_options* options,
                                  fabula_session** session) {
  return api::call([&] {
    api::required(session, "where the session is to go");
    const fabula_session_options given =
        api::options_or(options, fabula_session_options_default(), "fabula_session_options");
    *session = api::new_handle<fabula_session>(
        std::make_shared<SessionObject>(api::object_of(device), api::object_of(model), given));
  });
}

fabula_status fabula_session_close(fabula_session* session) {
  return api::call([&] { api::close_handle(session)->close(); });
}

fabula_status fabula_generate(fabula_session* session, const char* prompt, const fabula_text_options* options,
                              fabula_token_callback callback, void* user, fabula_text_result* result) {
  return api::call([&] {
    const std::shared_ptr<SessionObject> object = api::object_of(session);
    api::generate(*object, object->prompt_ids(prompt), api::generate_options(options, object->folder()), callback, user,
                  result);
  });
}

fabula_status fabula_session_begin(fabula_session* session, const char* prompt, const fabula_text_options* options,
                                   std::int64_t* text) {
  return api::call([&] {
    const std::shared_ptr<SessionObject> object = api::object_of(session);
    const auto begun = object->begin(object->prompt_ids(prompt), api::generate_options(options, object->folder()),
                                     SessionObject::Reader::kNext);
    if (text != nullptr) *text = begun->number;
  });
}

fabula_status fabula_session_begin_tokens(fabula_session* session, const std::uint32_t* ids, std::size_t count,
                                          const fabula_text_options* options, std::int64_t* text) {
  return api::call([&] {
    const std::shared_ptr<SessionObject> object = api::object_of(session);
    const auto begun = object->begin(api::copy_of(api::list_of(ids, count)),
                                     api::generate_options(options, object->folder()), SessionObject::Reader::kNext);
    if (text != nullptr) *text = begun->number;
  });
}

fabula_status fabula_session_next(fabula_session* session, std::int32_t tokens, fabula_token_callback callback,
                                  void* user, std::size_t* active) {
  return api::call([&] { api::next(*api::object_of(session), tokens, callback, user, active); });
}

fabula_status fabula_session_cancel(fabula_session* session, std::int64_t text) {
  return api::call([&] { api::object_of(session)->cancel(text); });
}
