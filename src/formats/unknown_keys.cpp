#include "formats/unknown_keys.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "base/nearest.hpp"
#include "formats/config_keys.hpp"
#include "formats/foreign_keys.hpp"
#include "formats/json_access.hpp"

namespace fabula {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxKeyShown = 100;

bool is_off(const json& value) {
  return value.is_null() || value == json(false) || value == json("") || (value.is_structured() && value.empty());
}

class Judge {
 public:
  Judge(const json& root, ModelFamily family, const ConfigOrigin& origin)
      : root_(root), family_(family), origin_(origin) {}

  UnknownKeys run() {
    look_at(root_, "");
    for (const std::string_view section : kConfigSections)
      if (const auto it = root_.find(section); it != root_.end() && it->is_object()) look_at(*it, section);
    return std::move(result_);
  }

 private:
  void look_at(const json& object, std::string_view section) {
    const std::vector<std::string> names = known_names(section);
    for (const auto& [key, value] : object.items()) {
      if (std::find(names.begin(), names.end(), key) != names.end()) continue;
      if (!section.empty() || !(is_fixed(key, value) || changes_nothing(key) || is_alias(key, value)))
        refuse_unknown(key, object, section);
    }
  }

  void refuse(ErrorCode code, std::string message) { result_.problems.push_back({code, std::move(message)}); }

  std::vector<std::string> known_names(std::string_view section) const {
    std::vector<std::string> names;
    for (const ConfigKey& key : config_keys())
      if (key.section == section && !key.name(family_).empty()) names.emplace_back(key.name(family_));
    if (section.empty()) names.insert(names.end(), std::begin(kConfigSections), std::end(kConfigSections));
    return names;
  }

  /// A key of a section that stands outside of it: in a config of fabula's it was meant.
  bool is_misplaced(const std::string& key) const {
    if (origin_.foreign) return false;
    return std::any_of(config_keys().begin(), config_keys().end(),
                       [&](const ConfigKey& k) { return !k.section.empty() && k.is_called(key); });
  }

  bool is_fixed(const std::string& key, const json& value) {
    const auto fixed =
        std::find_if(fixed_keys().begin(), fixed_keys().end(), [&](const FixedKey& k) { return k.name == key; });
    if (fixed == fixed_keys().end() || is_misplaced(key)) return false;
    if (value != json::parse(fixed->value) && !(fixed->is_off() && is_off(value)))
      refuse(ErrorCode::kUnsupported, fmt::format("{} is {}, only {} is possible: {}", origin_.where(key),
                                                  json_excerpt(value), fixed->value, fixed->why));
    return true;
  }

  bool changes_nothing(const std::string& key) {
    const ForeignKind kind = foreign_kind(key);
    if (kind == ForeignKind::kUsual) return true;
    // Who sets a key by hand means something by it.
    if (kind == ForeignKind::kUnknown || is_misplaced(key) || origin_.overrides.contains(key)) return false;
    if (kind == ForeignKind::kTool && !origin_.foreign) return false;
    const auto positions = root_.find("n_positions");
    const bool said_twice = key == "n_ctx" && positions != root_.end() && *positions == root_["n_ctx"];
    if (!said_twice) result_.passed_over.push_back(key.substr(0, kMaxKeyShown));
    return true;
  }

  /// Another name for a key that is there too: readers elsewhere take the one or the other.
  bool is_alias(const std::string& key, const json& value) {
    std::string target(alias_target(key, family_));
    for (const ConfigKey& other : config_keys())
      if (other.section.empty() && other.is_called(key) && !other.name(family_).empty()) target = other.name(family_);
    const auto it = root_.find(target);
    if (target.empty() || it == root_.end()) return false;
    if (value == *it)
      result_.passed_over.push_back(key);
    else
      refuse(ErrorCode::kInvalidArgument,
             fmt::format("{} is {}, {} is {}, and both mean the same; remove the one that is wrong", origin_.where(key),
                         json_excerpt(value), target, json_excerpt(*it)));
    return true;
  }

  void refuse_unknown(const std::string& key, const json& object, std::string_view section) {
    const std::string path = (section.empty() ? key : std::string(section) + "." + key).substr(0, kMaxKeyShown);
    const std::string start = origin_.start(path);
    if (const std::string_view target = alias_target(key, family_); section.empty() && !target.empty())
      return refuse(ErrorCode::kInvalidArgument, fmt::format("{}: unknown key \"{}\"; a {} config spells it \"{}\"",
                                                             start, path, family_name(family_), target));
    for (const ConfigKey& other : config_keys()) {
      if (!other.is_called(key)) continue;
      if (other.name(family_).empty())
        return refuse(ErrorCode::kInvalidArgument, fmt::format("{}: \"{}\" means nothing to a {} model; remove it",
                                                               start, key, family_name(family_)));
      return refuse(ErrorCode::kInvalidArgument, fmt::format("{}: unknown key \"{}\"; {}", start, path, better(other)));
    }
    const std::vector<std::string> names = known_names(section);
    // Only who sets a key by hand may have meant one that is there.
    const bool meant_another = object.contains(nearest(key, names)) && !origin_.overrides.contains(path);
    const std::string hint = meant_another ? "" : did_you_mean(key, names);
    refuse(ErrorCode::kInvalidArgument,
           fmt::format("{}: unknown key \"{}\"{}", start, path,
                       !hint.empty() ? hint
                       : section.empty() && origin_.foreign
                           ? "; if it does not change what the model computes, remove it"
                           : fmt::format("; the valid keys are {}", fmt::join(names, ", "))));
  }

  /// What to write instead of a key of another family's or section's.
  std::string better(const ConfigKey& key) const {
    const json* object = &root_;
    if (!key.section.empty()) {
      const auto it = root_.find(key.section);
      object = it == root_.end() ? nullptr : &*it;
    }
    if (object != nullptr && object->contains(key.name(family_)))
      return fmt::format("\"{}\" is there too, and decides; remove it", key.path(family_));
    return fmt::format("a {} config spells it \"{}\"", family_name(family_), key.path(family_));
  }

  const json& root_;
  ModelFamily family_;
  const ConfigOrigin& origin_;
  UnknownKeys result_;
};

}  // namespace

std::string ConfigOrigin::start(const std::string& path) const {
  const auto it = overrides.find(path);
  return it == overrides.end() ? source : "--set " + it->second;
}

void fail_for(const std::vector<ConfigProblem>& problems, std::string_view source) {
  if (problems.empty()) return;
  if (problems.size() == 1) fail(problems.front().code, "{}", problems.front().message);
  std::string text = fmt::format("{}: {} keys cannot be taken as they are:", source, problems.size());
  for (const ConfigProblem& problem : problems) text += "\n  " + problem.message;
  fail(problems.front().code, "{}", text);
}

UnknownKeys judge_unknown_keys(const json& root, ModelFamily family, const ConfigOrigin& origin) {
  return Judge(root, family, origin).run();
}

}  // namespace fabula
