#include "formats/run_state.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "formats/json_access.hpp"

namespace fabula {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxStateBytes = 4u << 20;
constexpr std::int64_t kStateFormat = 1;

class StateReader {
 public:
  StateReader(std::string_view source, const json& root) : source_(source), root_(root) {}

  std::int64_t count(const char* key) const {
    const std::int64_t value = integer(field(key), key);
    if (value < 0) fail_value(key, "a count of 0 or more");
    return value;
  }

  std::string text(const char* key) const {
    const json& value = field(key);
    if (!value.is_string()) fail_value(key, "a text");
    return value.get<std::string>();
  }

  // null stands for infinity, which JSON has not.
  double number_or_infinity(const char* key) const {
    const json& value = field(key);
    if (value.is_null()) return std::numeric_limits<double>::infinity();
    if (!value.is_number()) fail_value(key, "a number or null");
    return value.get<double>();
  }

  bool has(const char* key) const { return root_.contains(key); }

  template <class Value, class Read>
  std::map<std::string, Value> map(const char* key, Read read) const {
    const json& object = field(key);
    if (!object.is_object()) fail_value(key, "an object");
    std::map<std::string, Value> result;
    for (const auto& [name, value] : object.items())
      result[name] = read(value, (std::string(key) + "." + name).c_str());
    return result;
  }

  std::int64_t integer(const json& value, const char* key) const {
    const bool fits =
        value.is_number_integer() &&
        !(value.is_number_unsigned() && value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max());
    if (!fits) fail_value(key, "an integer");
    return value.get<std::int64_t>();
  }

  [[noreturn]] void fail_value(const char* key, const char* expected) const {
    fail(ErrorCode::kFormat, "{}: \"{}\" must be {}", source_, key, expected);
  }

 private:
  const json& field(const char* key) const {
    const auto it = root_.find(key);
    if (it == root_.end()) fail(ErrorCode::kFormat, "{}: \"{}\" is missing", source_, key);
    return *it;
  }

  std::string_view source_;
  const json& root_;
};

}  // namespace

std::string run_state_json(const RunState& state) {
  nlohmann::ordered_json root;
  root["format"] = kStateFormat;
  root["step"] = state.step;
  root["tokens_seen"] = state.tokens_seen;
  root["data_position"] = state.data_position;
  root["seed"] = state.seed;
  root["best_val_loss"] = std::isfinite(state.best_val_loss) ? nlohmann::ordered_json(state.best_val_loss) : nullptr;
  root["lowering"] = state.lowering;
  root["device"] = state.device;
  root["driver"] = state.driver;
  root["numbers"] = state.numbers;
  root["texts"] = state.texts;
  root["measures"] = state.measures;
  root["checksums"] = state.checksums;
  return dump_json(root, 2) + "\n";
}

RunState parse_run_state(std::string_view json_text, std::string_view source) {
  const json root = parse_json(json_text, source, {.max_bytes = kMaxStateBytes, .max_depth = 8});
  if (!root.is_object()) fail(ErrorCode::kFormat, "{}: expected a JSON object", source);
  const StateReader reader(source, root);
  if (const std::int64_t version = reader.count("format"); version != kStateFormat) {
    fail(ErrorCode::kUnsupported, "{}: state format {}, this fabula reads {}; use the version that wrote it", source,
         version, kStateFormat);
  }
  RunState state;
  state.step = reader.count("step");
  state.tokens_seen = reader.count("tokens_seen");
  state.data_position = reader.count("data_position");
  state.seed = reader.count("seed");
  state.best_val_loss = reader.number_or_infinity("best_val_loss");
  state.lowering = reader.text("lowering");
  state.device = reader.text("device");
  state.driver = reader.text("driver");
  state.numbers = reader.map<std::int64_t>(
      "numbers", [&](const json& value, const char* key) { return reader.integer(value, key); });
  const auto text = [&](const json& value, const char* key) {
    if (!value.is_string()) reader.fail_value(key, "a text");
    return value.get<std::string>();
  };
  state.texts = reader.map<std::string>("texts", text);
  if (reader.has("checksums")) state.checksums = reader.map<std::string>("checksums", text);
  for (const auto& [name, sum] : state.checksums)
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
      reader.fail_value("checksums", "an object with names of files beside it");
  if (reader.has("measures"))
    state.measures = reader.map<double>("measures", [&](const json& value, const char* key) {
      if (!value.is_number()) reader.fail_value(key, "a number");
      return value.get<double>();
    });
  return state;
}

void write_run_state(const std::filesystem::path& path, const RunState& state) {
  write_file_atomically(path, run_state_json(state));
}

RunState read_run_state(const std::filesystem::path& path) {
  return parse_run_state(read_file(path, kMaxStateBytes), path.string());
}

}  // namespace fabula
