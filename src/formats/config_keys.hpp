#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "formats/run_config.hpp"

namespace fabula {

/// How a key's value is stored and what it may be. Accessors take the whole config, so that one table serves all its
/// parts.
struct IntegerField {
  std::int64_t& (*at)(RunConfig&);
  std::int64_t min;
  std::int64_t max;
  const std::int64_t* null_value = nullptr;  ///< what null stands for; no null allowed without
  bool null_only = false;                    ///< what null stands for cannot be written as a number
};
/// Rising integers.
struct IntegerListField {
  std::vector<std::int64_t>& (*at)(RunConfig&);
  std::int64_t min;
  std::int64_t max;
};
/// Token ids: null, a number, or a list.
struct TokenIdsField {
  std::vector<std::int64_t>& (*at)(RunConfig&);
  std::int64_t max;
};
struct RealField {
  double& (*at)(RunConfig&);
  double min;
  double max;
  const double* null_value = nullptr;
};
struct BooleanField {
  bool& (*at)(RunConfig&);
};
struct TextField {
  std::string& (*at)(RunConfig&);
};
/// One of a few names; the position in `names` is the enumerator's value.
struct ChoiceField {
  int (*get)(const RunConfig&);
  void (*set)(RunConfig&, int);
  std::span<const std::string_view> names;
};
/// GPT-Neo's list of layer kinds, in either of its two spellings.
struct AttentionField {
  bool repeated;  ///< attention_types, [[["global", "local"], 6]]; else attention_layers, one name a layer
};

/// Rotary positions in the spelling of transformers 5, {"rope_type": "default", "rope_theta": 10000.0}.
struct RopeField {};

/// A key's name in each family's config, in the order of kModelFamilies; empty where a family has none.
using KeyNames = std::array<std::string_view, kModelFamilies.size()>;

struct ConfigKey {
  std::string_view section;  ///< "" for the model, "head", "train"
  KeyNames names;            ///< keys of a section have one name
  std::variant<IntegerField, IntegerListField, TokenIdsField, RealField, BooleanField, TextField, ChoiceField,
               AttentionField, RopeField>
      field;
  std::string_view doc;
  /// Does it mean anything to this head? Keys that do not are left out on writing. Null: to every head.
  bool (*applies)(const HeadConfig&) = nullptr;

  std::string_view name(ModelFamily family) const { return names[static_cast<std::size_t>(family)]; }
  /// Is it what some family calls it?
  bool is_called(std::string_view spelling) const;
  bool applies_to(const HeadConfig& head) const { return applies == nullptr || applies(head); }
  /// With the section: "head.group_size".
  std::string path(ModelFamily family) const;
};

/// The one table of keys: reading, writing, messages and the reference text come from it.
std::span<const ConfigKey> config_keys();

/// What a family calls the model's key that some family spells so: ("n_embd", gpt_neo) is "hidden_size". Empty: it has
/// no such key.
std::string_view model_key(ModelFamily family, std::string_view spelling);

inline constexpr std::int64_t kMaxLayers = 1024;

}  // namespace fabula
