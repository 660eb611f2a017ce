#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace fabula {

struct ModelConfig;

/// What a body is. What a family computes, its parameters and their names are one constant of src/models; here is what
/// its config files are known by, and the table of keys (formats/config_keys.hpp) has a name a family for each key.
enum class ModelFamily : std::uint8_t { kGpt2, kGptNeo, kLlama };

inline constexpr std::array kModelFamilies = {ModelFamily::kGpt2, ModelFamily::kGptNeo, ModelFamily::kLlama};

struct FamilyFiles {
  std::string_view model_type;    ///< in config.json
  std::string_view title;         ///< in headings
  std::string_view architecture;  ///< Hugging Face's class of a whole model
  std::string_view own_class;     ///< what the names of the classes begin with that a folder brings itself
  std::array<std::string_view, 2> other_architectures = {};  ///< its classes whose weights are such a model's
  /// What training elsewhere takes for a dropout of attention weights that is not stated.
  double unstated_attn_dropout = 0;
  void (*set_defaults)(ModelConfig&) = nullptr;  ///< where Hugging Face's differ from ModelConfig's own
  bool ties_embeddings = true;                   ///< where a config does not say
  bool rotary = false;                           ///< positions are angles by which pairs of a head's numbers are turned
  /// Sizes that follow from others are written as numbers: its readers elsewhere take no null.
  bool states_sizes = false;
  std::array<std::string_view, 2> absent = {};  ///< parts that such models may have elsewhere: keys written as false
  std::string_view positions_twin = {};         ///< a key that readers elsewhere take for the number of positions
};
const FamilyFiles& files_of(ModelFamily family);

inline std::string_view family_name(ModelFamily family) {
  return files_of(family).model_type;
}

}  // namespace fabula
