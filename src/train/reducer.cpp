#include "train/reducer.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace fabula::train {
namespace {

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What a message shows of a text, from shortly before the first place where another one differs.
std::string excerpt(std::string_view text, std::string_view other) {
  constexpr std::size_t kBefore = 40, kShown = 80;
  const auto differs = std::mismatch(text.begin(), text.end(), other.begin(), other.end()).first;
  const auto at = static_cast<std::size_t>(differs - text.begin());
  const std::size_t begin = at > kBefore ? at - kBefore : 0;
  return fmt::format("\"{}{}{}\"", begin > 0 ? "..." : "", text.substr(begin, kShown),
                     begin + kShown < text.size() ? "..." : "");
}

}  // namespace

std::string Reducer::broadcast_text(std::string_view text, Patience patience) {
  std::uint64_t size = text.size();
  broadcast(std::as_writable_bytes(std::span(&size, 1)), patience);
  std::string result(leads() ? text : std::string_view());
  result.resize(size);
  broadcast(std::as_writable_bytes(std::span(result)), patience);
  return result;
}

void Reducer::agree(std::string_view what, std::string_view text, Patience patience) {
  const std::vector<std::vector<std::byte>> texts = gather(std::as_bytes(std::span(text)), patience);
  std::string difference;
  for (std::size_t r = 1; r < texts.size() && difference.empty(); ++r)
    if (const std::string other = text_of(texts[r]); other != text)
      difference = fmt::format("rank {} differs from rank 0 in {}: {} there, {} on rank 0", r, what,
                               excerpt(other, text), excerpt(text, other));
  difference = broadcast_text(difference, patience);
  if (!difference.empty())
    throw SharedError(ErrorCode::kInvalidArgument, difference + "; all ranks must be started alike");
}

void Reducer::lead(const std::function<void()>& work, Patience patience) {
  constexpr std::int32_t kDone = -1;
  std::int32_t outcome = kDone;
  std::string message;
  if (leads()) try {
      work();
    } catch (const Error& error) {
      outcome = static_cast<std::int32_t>(error.code());
      message = error.what();
    }
  broadcast(std::as_writable_bytes(std::span(&outcome, 1)), patience);
  if (outcome == kDone) return;
  throw SharedError(static_cast<ErrorCode>(outcome), broadcast_text(message, patience));
}

}  // namespace fabula::train
