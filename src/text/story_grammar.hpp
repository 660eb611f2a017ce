#pragma once
#include <span>
#include <string_view>
#include <vector>

namespace fabula::text {

/// A list of interchangeable words or phrases by name; empty when there is none.
std::span<const std::string_view> story_list(std::string_view name);

enum class Gender { kFemale, kMale };

struct Species {
  std::string_view kind, home, food;
};

/// Who can be in a story.
std::span<const std::string_view> child_names(Gender gender);
std::span<const std::string_view> animal_names(Gender gender);
std::span<const Species> animal_species();

enum class Cast { kAnyone, kChildren, kAnimals };

/// A shape of story. One row of facts is chosen and bound to the slots named in `facts`; then the paragraphs are
/// expanded.
struct Plot {
  std::string_view name;
  Cast cast;
  std::vector<std::string_view> facts;
  std::vector<std::vector<std::string_view>> rows;  ///< each as long as `facts`
  std::vector<std::string_view> paragraphs;
};

const std::vector<Plot>& story_plots();

}  // namespace fabula::text
