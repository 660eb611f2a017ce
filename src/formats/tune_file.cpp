#include "formats/tune_file.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "formats/json_access.hpp"

namespace fabula {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::int64_t kTuneFormat = 1;
constexpr JsonLimits kLimits{.max_bytes = 16u << 20, .max_depth = 8};

/// An object of the file, with where it is for messages.
struct Object {
  const json& value;
  std::string where;

  Object(const json& v, std::string w) : value(v), where(std::move(w)) {
    if (!value.is_object()) fail(ErrorCode::kFormat, "{}: expected a JSON object", where);
  }
  const json& field(const char* key) const {
    const auto it = value.find(key);
    if (it == value.end()) fail(ErrorCode::kFormat, "{}: \"{}\" is missing", where, key);
    return *it;
  }
  std::string text(const char* key) const { return text_of(field(key), where + "." + key); }
  double seconds(const char* key) const {
    const json& number = field(key);
    if (!number.is_number() || !std::isfinite(number.get<double>()) || number.get<double>() <= 0)
      fail(ErrorCode::kFormat, "{}: \"{}\" must be a time above 0", where, key);
    return number.get<double>();
  }
  Object object(const char* key) const { return {field(key), where + "." + key}; }

  static std::string text_of(const json& text, const std::string& where) {
    if (!text.is_string()) fail(ErrorCode::kFormat, "{}: expected a text", where);
    return text.get<std::string>();
  }
};

std::map<std::string, std::string> texts_of(const Object& object) {
  std::map<std::string, std::string> result;
  for (const auto& [key, value] : object.value.items()) result[key] = Object::text_of(value, object.where + "." + key);
  return result;
}

}  // namespace

std::string kernel_choices_json(const KernelChoices& choices) {
  return dump_json(ordered_json(choices));
}

KernelChoices parse_kernel_choices(std::string_view json_text, std::string_view source) {
  const json root = parse_json(json_text, source, kLimits);
  return texts_of({root, std::string(source)});
}

std::string tune_file_json(const TuneFile& file) {
  ordered_json root;
  root["format"] = kTuneFormat;
  root["device"] = {{"name", file.device.name},
                    {"device_uuid", file.device.device_uuid},
                    {"driver_uuid", file.device.driver_uuid},
                    {"driver", file.device.driver}};
  root["shaders"] = file.shaders;
  root["nodes"] = ordered_json::object();
  for (const auto& [signature, node] : file.nodes)
    root["nodes"][signature] = {{"variant", node.variant},
                                {"seconds", node.seconds},
                                {"default_seconds", node.default_seconds},
                                {"shaders", node.shaders}};
  return dump_json(root, 2) + "\n";
}

TuneFile parse_tune_file(std::string_view json_text, std::string_view source) {
  const json parsed = parse_json(json_text, source, kLimits);
  const Object root(parsed, std::string(source));
  const json& version = root.field("format");
  if (!version.is_number_integer()) fail(ErrorCode::kFormat, "{}: \"format\" must be a number", source);
  if (version != kTuneFormat)
    fail(ErrorCode::kUnsupported, "{}: tune file format {}, this fabula reads {}", source, dump_json(version),
         kTuneFormat);
  const Object device = root.object("device");
  TuneFile file{{device.text("name"), device.text("device_uuid"), device.text("driver_uuid"), device.text("driver")},
                {},
                texts_of(root.object("shaders"))};
  for (const auto& [signature, value] : root.object("nodes").value.items()) {
    const Object node(value, root.where + ": \"" + signature + "\"");
    TunedNode& tuned = file.nodes[signature];
    tuned = {node.text("variant"), node.seconds("seconds"), node.seconds("default_seconds"), {}};
    const json& shaders = node.field("shaders");
    if (!shaders.is_array()) fail(ErrorCode::kFormat, "{}: \"shaders\" must be a list", node.where);
    for (const json& name : shaders) tuned.shaders.push_back(Object::text_of(name, node.where));
  }
  return file;
}

void write_tune_file(const std::filesystem::path& path, const TuneFile& file) {
  ensure_directory(path.parent_path());
  write_file_atomically(path, tune_file_json(file));
}

TuneFile read_tune_file(const std::filesystem::path& path) {
  return parse_tune_file(read_file(path, kLimits.max_bytes), path.string());
}

}  // namespace fabula
