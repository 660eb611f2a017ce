#include "train/reducer.hpp"

#include <cstring>

#include "base/fail.hpp"

namespace fabula::train {
namespace {

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
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
      difference =
          fmt::format("rank {} differs from rank 0 in {}: \"{}\" there, \"{}\" on rank 0", r, what, other, text);
  difference = broadcast_text(difference, patience);
  if (!difference.empty()) fail(ErrorCode::kInvalidArgument, "{}; all ranks must be started alike", difference);
}

}  // namespace fabula::train
