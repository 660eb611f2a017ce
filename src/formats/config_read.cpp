#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/log.hpp"
#include "base/nearest.hpp"
#include "formats/compression_json.hpp"
#include "formats/config_io.hpp"
#include "formats/config_keys.hpp"
#include "formats/json_access.hpp"
#include "formats/unknown_keys.hpp"

namespace fabula {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxListEntries = 64;
constexpr std::string_view kOwnPrefix = "fabula_";

std::string range_text(double min, double max) {
  if (max == std::numeric_limits<double>::infinity()) return fmt::format("at least {}", min);
  return fmt::format("from {} to {}", min, max);
}

/// "gpt2 or gpt_neo"
std::string family_list(std::string_view before_last) {
  std::string text;
  for (std::size_t i = 0; i < kModelFamilies.size(); ++i)
    text += fmt::format("{}{}",
                        i == 0                          ? ""
                        : i + 1 < kModelFamilies.size() ? ", "
                                                        : before_last,
                        family_name(kModelFamilies[i]));
  return text;
}

// Reads one config text. Every failure names the file (or the override) and the key.
class ConfigReader {
 public:
  ConfigReader(std::string_view source, json root, ConfigNotes notes) : root_(std::move(root)), notes_(notes) {
    origin_.source = source;
    origin_.foreign = (root_.contains("architectures") || root_.contains("transformers_version")) &&
                      !root_.contains("head") && !root_.contains("train");
  }

  void apply_override(const std::string& text);
  RunConfig read();

 private:
  [[noreturn]] void fail_value(const std::string& path, const json& value, const std::string& expected) const {
    fail(ErrorCode::kInvalidArgument, "{} is {}, expected {}", origin_.where(path), json_excerpt(value), expected);
  }

  ModelFamily read_family() const;
  void expand_head();
  void read_keys();
  void read_key(const ConfigKey& key, const json& value, const std::string& path);
  void read_attention();
  std::vector<AttentionKind> attention_list(const json& value, const std::string& path) const;
  std::vector<AttentionKind> attention_patterns(const json& value) const;
  void read_rope();
  void read_rope_theta(const json& value);
  void set_dependent_defaults();

  json root_;
  ConfigNotes notes_;
  ConfigOrigin origin_;
  ModelFamily family_{};
  RunConfig config_;
  std::set<std::string> given_;
};

void ConfigReader::apply_override(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    fail(ErrorCode::kInvalidArgument, "--set {}: expected key=value, train.learning_rate=1e-3 say", text);
  }
  const std::string path = text.substr(0, equals);
  const std::string value_text = text.substr(equals + 1);
  // What is not JSON is taken as a string, so that model_type=gpt2 needs no quotes.
  json value = json::accept(value_text) ? parse_json(value_text, "--set " + text) : json(value_text);
  const std::size_t dot = path.find('.');
  if (dot == std::string::npos) {
    root_[path] = std::move(value);
  } else {
    const std::string section = path.substr(0, dot);
    if (std::find(std::begin(kConfigSections), std::end(kConfigSections), section) == std::end(kConfigSections)) {
      const std::vector<std::string> sections(std::begin(kConfigSections), std::end(kConfigSections));
      fail(ErrorCode::kInvalidArgument, "--set {}: no section \"{}\"; there are head and train{}", text, section,
           did_you_mean(section, sections));
    }
    expand_head();
    json& object = root_[section];
    if (!object.is_object() && !object.is_null()) fail_value(section, object, "an object");
    object[path.substr(dot + 1)] = std::move(value);
  }
  origin_.overrides[path] = text;
}

ModelFamily ConfigReader::read_family() const {
  const auto it = root_.find("model_type");
  if (it == root_.end()) {
    // Files of 2019 name the class alone.
    const auto classes = root_.find("architectures");
    if (classes != root_.end() && classes->is_array() && classes->size() == 1 && classes->front().is_string()) {
      const std::string name = classes->front().get<std::string>();
      for (const ModelFamily family : kModelFamilies) {
        const auto& others = files_of(family).other_architectures;
        if (name == files_of(family).architecture || std::find(others.begin(), others.end(), name) != others.end())
          return family;
      }
    }
    fail(ErrorCode::kInvalidArgument, "{}: model_type is missing; set it to {}", origin_.source, family_list(" or "));
  }
  std::string name = it->is_string() ? it->get<std::string>() : "";
  if (name.starts_with(kOwnPrefix)) name.erase(0, kOwnPrefix.size());
  for (const ModelFamily family : kModelFamilies) {
    if (name == family_name(family)) return family;
  }
  fail(ErrorCode::kUnsupported, "{} is {}; fabula has {}", origin_.where("model_type"), json_excerpt(*it),
       family_list(" and "));
}

// An integer, or a real without a fraction (1e6); nothing for anything else.
std::optional<std::int64_t> integer_of(const json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return static_cast<std::int64_t>(number);
    return std::nullopt;
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (!(std::abs(number) <= kExact) || number != std::floor(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

void ConfigReader::read_key(const ConfigKey& key, const json& value, const std::string& path) {
  if (const auto* integer = std::get_if<IntegerField>(&key.field)) {
    const bool is_null = value.is_null() && integer->null_value != nullptr;
    const auto number = is_null ? *integer->null_value : integer_of(value);
    const bool special =
        is_null || (number && integer->null_value != nullptr && !integer->null_only && *number == *integer->null_value);
    if (!number || (!special && (*number < integer->min || *number > integer->max))) {
      fail_value(path, value,
                 fmt::format("an integer from {} to {}", integer->min, integer->max) +
                     (integer->null_only ? ", or null to have it derived" : ""));
    }
    integer->at(config_) = *number;
  } else if (const auto* list = std::get_if<IntegerListField>(&key.field)) {
    const std::string expected = fmt::format("a list of rising integers from {} to {}", list->min, list->max);
    if (!value.is_array() || value.size() > kMaxListEntries)
      fail_value(path, value, expected + fmt::format(", at most {} of them", kMaxListEntries));
    std::vector<std::int64_t>& numbers = list->at(config_);
    numbers.clear();
    for (const json& entry : value) {
      const auto number = integer_of(entry);
      if (!number || *number < (numbers.empty() ? list->min : numbers.back() + 1) || *number > list->max)
        fail_value(path, value, expected);
      numbers.push_back(*number);
    }
  } else if (const auto* tokens = std::get_if<TokenIdsField>(&key.field)) {
    std::vector<std::int64_t>& ids = tokens->at(config_);
    ids.clear();
    if (value.is_null() || integer_of(value) == -1) return;
    const json entries = value.is_array() ? value : json::array({value});
    for (const json& entry : entries) {
      const auto id = integer_of(entry);
      if (!id || *id < 0 || *id > tokens->max || entries.size() > kMaxListEntries)
        fail_value(path, value, fmt::format("an integer from 0 to {}, a list of them, or null", tokens->max));
      ids.push_back(*id);
    }
  } else if (const auto* real = std::get_if<RealField>(&key.field)) {
    const bool is_null = value.is_null() && real->null_value != nullptr;
    if (!is_null && !value.is_number()) fail_value(path, value, "a number " + range_text(real->min, real->max));
    const double number = is_null ? *real->null_value : value.get<double>();
    const bool special = real->null_value != nullptr && number == *real->null_value;
    if (!special && !(number >= real->min && number <= real->max)) {
      fail_value(path, value, "a number " + range_text(real->min, real->max));
    }
    real->at(config_) = number;
  } else if (const auto* boolean = std::get_if<BooleanField>(&key.field)) {
    if (!value.is_boolean()) fail_value(path, value, "true or false");
    boolean->at(config_) = value.get<bool>();
  } else if (const auto* text = std::get_if<TextField>(&key.field)) {
    if (!value.is_string()) fail_value(path, value, "a text");
    text->at(config_) = value.get<std::string>();
  } else if (const auto* choice = std::get_if<ChoiceField>(&key.field)) {
    const std::string name = value.is_string() ? value.get<std::string>() : "";
    const auto it = std::find(choice->names.begin(), choice->names.end(), name);
    if (it == choice->names.end()) {
      fail(ErrorCode::kUnsupported, "{} is {}; fabula has {}", origin_.where(path), json_excerpt(value),
           fmt::join(choice->names, ", "));
    }
    choice->set(config_, static_cast<int>(it - choice->names.begin()));
  }
}

std::vector<AttentionKind> ConfigReader::attention_list(const json& value, const std::string& path) const {
  constexpr const char* kExpected = "a list of \"global\" and \"local\"";
  std::vector<AttentionKind> kinds;
  if (!value.is_array() || value.size() > static_cast<std::size_t>(kMaxLayers)) fail_value(path, value, kExpected);
  for (const json& name : value) {
    if (name != "global" && name != "local") fail_value(path, value, kExpected);
    kinds.push_back(name == "global" ? AttentionKind::kGlobal : AttentionKind::kLocal);
  }
  return kinds;
}

std::vector<AttentionKind> ConfigReader::attention_patterns(const json& value) const {
  constexpr const char* kExpected = "patterns with counts such as [[[\"global\", \"local\"], 6]]";
  std::vector<AttentionKind> kinds;
  if (!value.is_array()) fail_value("attention_types", value, kExpected);
  for (const json& item : value) {
    if (!item.is_array() || item.size() != 2) fail_value("attention_types", value, kExpected);
    const std::vector<AttentionKind> pattern = attention_list(item[0], "attention_types");
    const auto count = integer_of(item[1]);
    if (!count || *count < 1 || *count > kMaxLayers || pattern.empty() ||
        kinds.size() + pattern.size() * static_cast<std::size_t>(*count) > static_cast<std::size_t>(kMaxLayers)) {
      fail_value("attention_types", value, kExpected);
    }
    for (std::int64_t i = 0; i < *count; ++i) kinds.insert(kinds.end(), pattern.begin(), pattern.end());
  }
  return kinds;
}

void ConfigReader::read_attention() {
  if (model_key(family_, "attention_types").empty()) return;
  std::vector<AttentionKind>& kinds = config_.model.attention_layers;
  const auto types = root_.find("attention_types");
  const auto layers = root_.find("attention_layers");
  if (types != root_.end()) kinds = attention_patterns(*types);
  if (layers != root_.end()) {
    const std::vector<AttentionKind> list = attention_list(*layers, "attention_layers");
    if (types != root_.end() && list != kinds) {
      fail(ErrorCode::kInvalidArgument, "{}: attention_layers and attention_types disagree; remove one of them",
           origin_.source);
    }
    kinds = list;
  }
  if (types == root_.end() && layers == root_.end()) {
    for (std::int64_t i = 0; i < config_.model.layers; ++i) {
      kinds.push_back(i % 2 == 0 ? AttentionKind::kGlobal : AttentionKind::kLocal);
    }
  }
}

void ConfigReader::read_rope() {
  const auto it = root_.find("rope_parameters");
  if (!files_of(family_).rotary || it == root_.end() || it->is_null()) return;
  if (!it->is_object())
    fail_value("rope_parameters", *it, "an object such as {\"rope_type\": \"default\", \"rope_theta\": 10000.0}");
  const auto refuse = [&](const std::string& key, const json& value) {
    fail(ErrorCode::kUnsupported, "{} is {}; fabula has rotary positions of type \"default\", which are not scaled",
         origin_.where("rope_parameters." + key), json_excerpt(value));
  };
  for (const char* key : {"rope_type", "type"})
    if (it->contains(key) && (*it)[key] != "default") refuse(key, (*it)[key]);
  for (const auto& [key, value] : it->items()) {
    const bool whole_head = key == "partial_rotary_factor" && value == 1;
    if (key == "rope_theta")
      read_rope_theta(value);
    else if (key != "rope_type" && key != "type" && !whole_head)
      refuse(key, value);
  }
}

// That of the object; one on the command line has the last word.
void ConfigReader::read_rope_theta(const json& value) {
  const double beside = config_.model.rope_theta;
  const auto key = std::find_if(config_keys().begin(), config_keys().end(),
                                [](const ConfigKey& k) { return k.is_called("rope_theta"); });
  read_key(*key, value, "rope_parameters.rope_theta");
  double& theta = config_.model.rope_theta;
  if (!given_.contains("rope_theta") || beside == theta) return;
  if (!origin_.overrides.contains("rope_theta"))
    fail(ErrorCode::kInvalidArgument,
         "{}: rope_theta is {}, rope_parameters.rope_theta is {}, and both mean the same; remove the one that is wrong",
         origin_.source, beside, theta);
  theta = beside;
}

// Defaults that depend on other keys.
void ConfigReader::set_dependent_defaults() {
  HeadConfig& head = config_.model.head;
  if (!given_.contains("tie_word_embeddings"))
    config_.model.tie_word_embeddings =
        (files_of(family_).ties_embeddings && !head.has_map()) ||
        (head.kind == HeadKind::kGrouped && head.modulation == HeadModulation::kPerGroup);
  if (!given_.contains("head.bias")) head.bias = head.always_biased();
  if (config_.train.dropout >= 0) {
    config_.model.embd_dropout = config_.model.resid_dropout = config_.train.dropout;
    config_.model.attn_dropout = 0;
  } else {
    config_.model.attn_dropout_left_out =
        files_of(family_).unstated_attn_dropout > 0 && !given_.contains(std::string(model_key(family_, "attn_pdrop")));
  }
}

// All that is wrong with single keys is said at once.
void ConfigReader::read_keys() {
  UnknownKeys unknown = judge_unknown_keys(root_, family_, origin_);
  for (const ConfigKey& key : config_keys()) {
    const std::string name(key.name(family_));
    if (name.empty() || name == "model_type") continue;
    const json* object = &root_;
    if (!key.section.empty()) {
      const auto it = root_.find(key.section);
      if (it == root_.end()) continue;
      object = &*it;
    }
    const auto value = object->find(name);
    if (value == object->end()) continue;
    given_.insert(key.path(family_));
    try {
      read_key(key, *value, key.path(family_));
    } catch (const Error& error) {
      unknown.problems.push_back({error.code(), error.what()});
    }
  }
  fail_for(unknown.problems, origin_.source);
  if (!unknown.passed_over.empty() && notes_ == ConfigNotes::kSaid)
    info("{}: passing over what does not change the model: {}", origin_.source, fmt::join(unknown.passed_over, ", "));
}

// A head by a word alone.
void ConfigReader::expand_head() {
  const auto it = root_.find("head");
  if (it == root_.end() || !it->is_string()) return;
  const std::string word = it->get<std::string>();
  const auto heads = json::parse(R"({
    "full": {"kind": "full"},
    "fused": {"kind": "fused", "bias": true},
    "adaptive": {"kind": "adaptive", "bias": true},
    "paper": {"kind": "grouped"}})");
  if (const auto head = heads.find(word); head != heads.end()) {
    *it = *head;
    return;
  }
  std::vector<std::string> words;
  for (const auto& [name, head] : heads.items()) words.push_back(name);
  fail(ErrorCode::kInvalidArgument, "{} is \"{}\"; expected an object, or one of {}{}", origin_.where("head"), word,
       fmt::join(words, ", "), did_you_mean(word, words));
}

RunConfig ConfigReader::read() {
  family_ = read_family();
  expand_head();
  config_ = default_config(family_);
  for (const std::string_view section : kConfigSections) {
    const auto it = root_.find(section);
    if (it != root_.end() && !it->is_object()) fail_value(std::string(section), *it, "an object");
  }
  read_keys();
  read_attention();
  read_rope();
  set_dependent_defaults();
  for (const ConfigKey& key : config_keys())
    if (notes_ == ConfigNotes::kSaid && given_.contains(key.path(family_)) && !key.applies_to(config_.model.head))
      warn("{} is ignored: it means nothing to a head of kind {} as configured", origin_.where(key.path(family_)),
           head_kind_name(config_.model.head.kind));
  validate_config(config_, origin_.source);
  return config_;
}

}  // namespace

RunConfig parse_config(std::string_view json_text, std::string_view source, const std::vector<std::string>& overrides,
                       ConfigNotes notes) {
  json root = parse_json(json_text, source, {.max_bytes = kMaxConfigBytes, .max_depth = 16});
  if (!root.is_object()) fail(ErrorCode::kFormat, "{}: expected a JSON object", source);
  Compression compression = read_compression(root, source);
  if (!compression.empty()) root.erase(kQuantizationKey);
  ConfigReader reader(source, std::move(root), notes);
  for (const std::string& text : overrides) reader.apply_override(text);
  RunConfig config = reader.read();
  config.compression = std::move(compression);
  return config;
}

RunConfig load_config(const std::filesystem::path& file_or_folder, const std::vector<std::string>& overrides,
                      ConfigNotes notes) {
  const std::filesystem::path path =
      std::filesystem::is_directory(file_or_folder) ? file_or_folder / kConfigFile : file_or_folder;
  return parse_config(read_file(path, kMaxConfigBytes), path.string(), overrides, notes);
}

}  // namespace fabula
