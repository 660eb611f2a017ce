#include "infer/text_output.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace fabula::infer {
namespace {

/// Length of the longest end of `text` that a stop text begins with.
std::size_t possible_beginning(std::string_view text, const std::vector<std::string>& stops) {
  std::size_t longest = 0;
  for (const std::string& stop : stops)
    for (std::size_t n = std::min(text.size(), stop.size() - 1); n > longest; --n)
      if (text.ends_with(std::string_view(stop).substr(0, n))) longest = n;
  return longest;
}

}  // namespace

TextOutput::TextOutput(const text::Tokenizer& tokenizer, std::span<const std::uint32_t> before,
                       std::vector<std::string> stops)
    : decoder_(tokenizer, before), stops_(std::move(stops)) {
  for (const std::string& stop : stops_)
    if (stop.empty()) fail(ErrorCode::kInvalidArgument, "a stop text is empty; every text would end at once");
}

std::string TextOutput::push(std::uint32_t id) {
  return take(decoder_.push(id), false);
}

std::string TextOutput::finish() {
  return take(decoder_.finish(), true);
}

std::string TextOutput::take(std::string_view more, bool last) {
  if (stopped_) return {};
  held_ += more;
  std::size_t end = std::string::npos;
  for (const std::string& stop : stops_) end = std::min(end, held_.find(stop));
  stopped_ = end != std::string::npos;
  if (!stopped_) end = held_.size() - (last ? 0 : possible_beginning(held_, stops_));
  std::string shown = held_.substr(0, end);
  held_ = stopped_ ? std::string() : held_.substr(end);
  text_ += shown;
  return shown;
}

}  // namespace fabula::infer
