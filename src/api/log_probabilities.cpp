#include <algorithm>

#include "api/handles.hpp"
#include "api/session_object.hpp"
#include "api/structs.hpp"
#include "infer/inspection.hpp"

namespace fabula::api {
namespace {

fabula_score score_of(std::span<const float> log_probs, const TokenMap* map, std::uint32_t id) {
  const infer::Inspection inspection = infer::inspect(log_probs, map, id, 0);
  fabula_score score{.log_p = inspection.token.log_p, .group_log_p = kNoNumber, .token_log_p = kNoNumber, .group = -1};
  if (!inspection.levels) return score;
  score.group = inspection.levels->index;
  score.token_log_p = inspection.levels->token_log_p;
  score.group_log_p = score.log_p - score.token_log_p;
  return score;
}

/// log p [V] behind a text.
std::vector<float> distribution(SessionObject& session, std::span<const std::uint32_t> ids) {
  std::vector<float> result;
  session.score(ids, [&](std::size_t position, std::span<const float> log_probs) {
    if (position + 1 == ids.size()) result.assign(log_probs.begin(), log_probs.end());
  });
  return result;
}

/// Hands on the entries of an inspection until the callback says that it is enough.
void tell_entries(const infer::Inspection& inspection, std::uint32_t chosen, fabula_entry_callback callback,
                  void* user) {
  const auto stop = [&](const fabula_entry& entry) { return tell([&] { return callback(user, &entry); }) != 0; };
  for (const infer::LikelyToken& token : inspection.joint)
    if (stop({.size = sizeof(fabula_entry),
              .log_p = token.log_p,
              .group = -1,
              .group_size = 0,
              .id = token.id,
              .level = FABULA_LEVEL_JOINT,
              .chosen = token.id == chosen}))
      return;
  if (!inspection.levels) return;
  for (const infer::LikelyClass& group : inspection.levels->classes) {
    if (stop({.size = sizeof(fabula_entry),
              .log_p = group.log_p,
              .group = group.index,
              .group_size = group.size,
              .id = FABULA_NO_TOKEN,
              .level = FABULA_LEVEL_GROUP,
              .chosen = group.index == inspection.levels->index}))
      return;
    for (const infer::LikelyToken& token : group.tokens)
      if (stop({.size = sizeof(fabula_entry),
                .log_p = token.log_p,
                .group = group.index,
                .group_size = group.size,
                .id = token.id,
                .level = FABULA_LEVEL_TOKEN,
                .chosen = token.id == chosen}))
        return;
  }
}

}  // namespace
}  // namespace fabula::api

using namespace fabula;

fabula_status fabula_session_score(fabula_session* session, const std::uint32_t* ids, std::size_t count,
                                   fabula_score* scores) {
  return api::call([&] {
    const auto object = api::object_of(session);
    const std::span<const std::uint32_t> text = api::list_of(ids, count);
    if (count > 0) api::required(scores, "where the scores are to go");
    const TokenMap* const map = object->folder().model().head().token_map();
    std::vector<fabula_score> all(
        count, {.log_p = api::kNoNumber, .group_log_p = api::kNoNumber, .token_log_p = api::kNoNumber, .group = -1});
    object->score(text, [&](std::size_t position, std::span<const float> log_probs) {
      if (position + 1 < count) all[position + 1] = api::score_of(log_probs, map, text[position + 1]);
    });
    std::copy(all.begin(), all.end(), scores);
  });
}

fabula_status fabula_session_distribution(fabula_session* session, const std::uint32_t* ids, std::size_t count,
                                          float* log_p, std::size_t capacity) {
  return api::call([&] {
    const auto object = api::object_of(session);
    const auto V = static_cast<std::size_t>(object->folder().model().head().vocabulary());
    if (capacity < V) api::refuse(FABULA_TOO_SMALL, "the model has {} tokens, and there is room for {}", V, capacity);
    api::required(log_p, "where the log-probabilities are to go");
    const std::vector<float> all = api::distribution(*object, api::list_of(ids, count));
    std::copy(all.begin(), all.end(), log_p);
  });
}

fabula_status fabula_session_inspect(fabula_session* session, const std::uint32_t* ids, std::size_t count,
                                     std::uint32_t token, std::size_t most, fabula_entry_callback callback,
                                     void* user) {
  return api::call([&] {
    const auto object = api::object_of(session);
    if (callback == nullptr) api::refuse(FABULA_INVALID_ARGUMENT, "there is no callback to tell of entries");
    const std::vector<float> log_probs = api::distribution(*object, api::list_of(ids, count));
    api::tell_entries(infer::inspect(log_probs, object->folder().model().head().token_map(), token, most), token,
                      callback, user);
  });
}
