#pragma once
#include <cstdint>
#include <span>

#include "base/fail.hpp"
#include "base/group_plan.hpp"

namespace fabula::heads {

/// Throws kInvalidArgument for the first label that is neither below `vocabulary` nor kIgnoredLabel.
inline void check_labels(std::span<const std::uint32_t> labels, std::int64_t vocabulary) {
  for (std::size_t n = 0; n < labels.size(); ++n) {
    if (labels[n] < vocabulary || labels[n] == kIgnoredLabel) continue;
    fail(ErrorCode::kInvalidArgument,
         "token id {} at position {} of the batch, the vocabulary has {} tokens (0 to {}); was the data prepared with "
         "another tokenizer?",
         labels[n], n, vocabulary, vocabulary - 1);
  }
}

}  // namespace fabula::heads
