#pragma once
#include <span>
#include <string_view>

#include "formats/model_config.hpp"

// Keys of other people's config.json files that are none of fabula's (formats/config_keys.hpp). Sources: transformers'
// PretrainedConfig, GPT2Config, GPTNeoConfig and LlamaConfig with their modeling files, from 2019 on, and configs as
// found.
namespace fabula {

/// What a key says about the numbers that a model computes.
enum class ForeignKind {
  kUnknown,
  kUsual,  ///< nothing: Hugging Face's classes write it as a matter of course
  kOld,    ///< nothing: written by earlier versions of these classes, or about decoding
  kTool,   ///< nothing: left by other people's tools, where a config of fabula's would have meant something by it
};
ForeignKind foreign_kind(std::string_view name);

/// A key that is accepted with one value only, as JSON text; another would change what the model computes.
struct FixedKey {
  std::string_view name;
  std::string_view value;
  std::string_view why;

  /// Null, false, {}, [] and "" all say that something is not used.
  bool is_off() const { return value == "false" || value == "null" || value == "{}"; }
};
std::span<const FixedKey> fixed_keys();

/// Another name for a key of the family's, as transformers' attribute_map and other tools have it; empty: it is none.
std::string_view alias_target(std::string_view name, ModelFamily family);

}  // namespace fabula
