#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "formats/compression_json.hpp"
#include "formats/config_io.hpp"
#include "formats/config_keys.hpp"
#include "formats/foreign_keys.hpp"
#include "formats/json_access.hpp"

namespace fabula {
namespace {

using nlohmann::ordered_json;

std::string_view attention_name(AttentionKind kind) {
  return kind == AttentionKind::kGlobal ? "global" : "local";
}

ordered_json attention_names(const std::vector<AttentionKind>& kinds, std::size_t count) {
  ordered_json names = ordered_json::array();
  for (std::size_t i = 0; i < count; ++i) names.push_back(attention_name(kinds[i]));
  return names;
}

// The shortest pattern whose repetition gives the list: [[pattern, count]].
ordered_json attention_patterns(const std::vector<AttentionKind>& kinds) {
  std::size_t period = 1;
  const auto repeats = [&] {
    if (kinds.size() % period != 0) return false;
    for (std::size_t i = period; i < kinds.size(); ++i) {
      if (kinds[i] != kinds[i - period]) return false;
    }
    return true;
  };
  while (period < kinds.size() && !repeats()) ++period;
  return ordered_json::array({ordered_json::array({attention_names(kinds, period), kinds.size() / period})});
}

struct ValueWriter {
  RunConfig& config;

  ordered_json operator()(const IntegerField& field) const {
    const std::int64_t value = field.at(config);
    return field.null_value != nullptr && value == *field.null_value ? ordered_json(nullptr) : ordered_json(value);
  }
  ordered_json operator()(const IntegerListField& field) const { return field.at(config); }
  ordered_json operator()(const TokenIdsField& field) const {
    const std::vector<std::int64_t>& ids = field.at(config);
    return ids.empty() ? ordered_json(nullptr) : ids.size() == 1 ? ordered_json(ids[0]) : ordered_json(ids);
  }
  ordered_json operator()(const RealField& field) const {
    const double value = field.at(config);
    return field.null_value != nullptr && value == *field.null_value ? ordered_json(nullptr) : ordered_json(value);
  }
  ordered_json operator()(const BooleanField& field) const { return field.at(config); }
  ordered_json operator()(const TextField& field) const { return field.at(config); }
  ordered_json operator()(const ChoiceField& field) const {
    return field.names[static_cast<std::size_t>(field.get(config))];
  }
  ordered_json operator()(const RopeField&) const {
    return {{"rope_type", "default"}, {"rope_theta", config.model.rope_theta}};
  }
  ordered_json operator()(const AttentionField& field) const {
    const std::vector<AttentionKind>& kinds = config.model.attention_layers;
    return field.repeated ? attention_patterns(kinds) : attention_names(kinds, kinds.size());
  }
};

void write_identity(ordered_json& root, const ModelConfig& model) {
  const FamilyFiles& files = files_of(model.family);
  if (!needs_own_classes(model)) {
    root["model_type"] = files.model_type;
    root["architectures"] = {files.architecture};
    return;
  }
  root["model_type"] = "fabula_" + std::string(files.model_type);
  root["architectures"] = {fmt::format("{}ForCausalLM", files.own_class)};
  root["auto_map"] = {{"AutoConfig", fmt::format("configuration_fabula.{}Config", files.own_class)},
                      {"AutoModelForCausalLM", fmt::format("modeling_fabula.{}ForCausalLM", files.own_class)}};
}

std::string_view torch_name(TensorDtype dtype) {
  return dtype == TensorDtype::kF16 ? "float16" : dtype == TensorDtype::kBf16 ? "bfloat16" : "float32";
}

std::string type_text(const ConfigKey& key) {
  if (std::holds_alternative<IntegerField>(key.field)) return "integer";
  if (std::holds_alternative<TokenIdsField>(key.field)) return "integer or list";
  if (std::holds_alternative<RealField>(key.field)) return "number";
  if (std::holds_alternative<BooleanField>(key.field)) return "true, false";
  if (std::holds_alternative<TextField>(key.field)) return "text";
  if (std::holds_alternative<RopeField>(key.field)) return "object";
  if (const auto* choice = std::get_if<ChoiceField>(&key.field))
    return fmt::format("{}", fmt::join(choice->names, ", "));
  return "list";
}

std::string range_text(const ConfigKey& key) {
  if (const auto* integer = std::get_if<IntegerField>(&key.field))
    return fmt::format("{} to {}", integer->min, integer->max);
  if (const auto* ids = std::get_if<TokenIdsField>(&key.field)) return fmt::format("0 to {}", ids->max);
  if (const auto* real = std::get_if<RealField>(&key.field)) {
    return real->max == std::numeric_limits<double>::infinity() ? fmt::format("{} and more", real->min)
                                                                : fmt::format("{} to {}", real->min, real->max);
  }
  return "";
}

std::string default_text(const ConfigKey& key) {
  if (std::holds_alternative<AttentionField>(key.field)) return "";
  std::vector<std::string> values;  // a family, or all families
  for (const ModelFamily family : kModelFamilies) {
    if (key.name(family).empty()) continue;
    RunConfig config = default_config(family);
    values.push_back(dump_json(std::visit(ValueWriter{config}, key.field)));
  }
  if (std::all_of(values.begin(), values.end(), [&](const auto& value) { return value == values.front(); }))
    values.resize(1);
  return fmt::format("`{}`", fmt::join(values, " / "));
}

void append_section(std::string& text, std::string_view section) {
  const std::size_t columns = section.empty() ? kModelFamilies.size() : 1;  // of names
  for (std::size_t i = 0; i < columns; ++i)
    text += section.empty() ? fmt::format("| {} key ", files_of(kModelFamilies[i]).title) : "| key ";
  text += "| type | default | range | meaning |\n|";
  for (std::size_t i = 0; i < columns + 4; ++i) text += "---|";
  text += "\n";
  const auto code = [](std::string_view name) { return name.empty() ? std::string("-") : fmt::format("`{}`", name); };
  for (const ConfigKey& key : config_keys()) {
    if (key.section != section) continue;
    for (std::size_t i = 0; i < columns; ++i) text += fmt::format("| {} ", code(key.names[i]));
    const std::string default_value = key.is_called("model_type") ? "" : default_text(key);
    text += fmt::format("| {} | {} | {} | {} |\n", type_text(key), default_value, range_text(key), key.doc);
  }
  text += "\n";
}

}  // namespace

// Hugging Face's own classes have neither a two-level head nor an output bias; how the loss was computed is nothing to
// them.
bool needs_own_classes(const ModelConfig& model) {
  return model.head.has_map() || model.head.bias;
}

std::string generation_config_json(const ModelConfig& model, const std::vector<std::uint32_t>& stop_ids) {
  std::vector<std::int64_t> stops(stop_ids.begin(), stop_ids.end());
  if (stops.empty()) stops = model.eos_token_ids;
  ordered_json root = ordered_json::object();
  if (model.bos_token_id >= 0) root["bos_token_id"] = model.bos_token_id;
  if (stops.size() == 1) root["eos_token_id"] = stops.front();
  if (stops.size() > 1) root["eos_token_id"] = stops;
  if (!stops.empty()) root["pad_token_id"] = stops.front();
  return dump_json(root, 2) + "\n";
}

std::string config_json(const RunConfig& config, TensorDtype dtype, const Compression& compression) {
  RunConfig copy = config;  // accessors of the table give mutable references
  copy.model = copy.model.with_sizes();
  ordered_json root = ordered_json::object();
  write_identity(root, copy.model);
  for (const ConfigKey& key : config_keys()) {
    const std::string name(key.name(copy.model.family));
    if (name.empty() || name == "model_type" || !key.applies_to(copy.model.head)) continue;
    ordered_json value = std::visit(ValueWriter{copy}, key.field);
    if (key.section.empty()) {
      root[name] = std::move(value);
    } else {
      root[std::string(key.section)][name] = std::move(value);
    }
  }
  for (const std::string_view absent : files_of(copy.model.family).absent)
    if (!absent.empty()) root[std::string(absent)] = false;
  if (const std::string_view twin = files_of(copy.model.family).positions_twin; !twin.empty())
    root[std::string(twin)] = copy.model.n_positions;
  root["use_cache"] = true;
  root["dtype"] = torch_name(dtype);
  if (!compression.empty()) root[kQuantizationKey] = compression_json(compression);
  return dump_json(root, 2) + "\n";
}

std::string config_differences(const RunConfig& was, const RunConfig& is) {
  // Flat: "/train/batch_size" and its value.
  const ordered_json old = ordered_json::parse(config_json(was)).flatten(),
                     now = ordered_json::parse(config_json(is)).flatten();
  std::string text;
  const auto note = [&](std::string path, const std::string& then, const std::string& value) {
    path.erase(0, 1);
    std::replace(path.begin(), path.end(), '/', '.');
    text += fmt::format("{}{} was {}, is {}", text.empty() ? "" : "; ", path, then, value);
  };
  for (const auto& [path, value] : old.items())
    if (!now.contains(path))
      note(path, dump_json(value), "not set");
    else if (now[path] != value)
      note(path, dump_json(value), dump_json(now[path]));
  for (const auto& [path, value] : now.items())
    if (!old.contains(path)) note(path, "not set", dump_json(value));
  return text;
}

std::string config_reference_markdown() {
  std::string text =
      "# Config reference\n\n"
      "A config is one JSON file: the model's keys as Hugging Face spells them for the family, the vocabulary head "
      "under `head`, training under "
      "`train`. Any key can be set from the command line: `--set train.learning_rate=1e-3`.\n\n## Model\n\n";
  append_section(text, "");
  text += "## Vocabulary head: `head`\n\n";
  append_section(text, "head");
  text += "## Training: `train`\n\n";
  append_section(text, "train");
  text += "## Hugging Face keys with one possible value\n\n| key | value | why |\n|---|---|---|\n";
  for (const FixedKey& key : fixed_keys()) text += fmt::format("| `{}` | `{}` | {} |\n", key.name, key.value, key.why);
  return text;
}

}  // namespace fabula
