#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace fabula {

/// The fewest single-character insertions, removals and replacements that turn one text into the other (Levenshtein
/// distance).
std::size_t edit_distance(std::string_view left, std::string_view right);

/// The candidate with the smallest edit distance, the first of equals; empty when there is none or the nearest shares
/// too little to be meant (more edits than half of the longer text).
std::string nearest(std::string_view text, std::span<const std::string> candidates);

/// "; did you mean \"n_embd\"?" or an empty text when nothing is near.
std::string did_you_mean(std::string_view text, std::span<const std::string> candidates);

}  // namespace fabula
