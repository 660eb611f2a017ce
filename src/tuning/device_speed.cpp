#include "tuning/device_speed.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/json_text.hpp"
#include "base/nearest.hpp"
#include "formats/json_access.hpp"
#include "named_devices.hpp"

namespace fabula::tuning {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kSpeedFormat = 1;
constexpr std::size_t kMostSpeedBytes = 4u << 20;
constexpr double kLargestFigure = 1e18;  // of anything: what is beyond is a slip of the pen

/// An object of a speed file, with where it is; says which of its fields nobody asked for.
class SpeedObject {
 public:
  SpeedObject(const json& value, std::string where) : value_(value), where_(std::move(where)) {
    if (!value_.is_object()) fail(ErrorCode::kInvalidArgument, "{}: expected a JSON object", where_);
  }

  const std::string& where() const { return where_; }
  std::string path(const std::string& key) const { return where_ + "." + key; }
  const json* find(const std::string& key) {
    known_.insert(key);
    const auto found = value_.find(key);
    return found == value_.end() ? nullptr : &*found;
  }
  const json& field(const std::string& key) {
    const json* found = find(key);
    if (found == nullptr) fail(ErrorCode::kInvalidArgument, "{}: \"{}\" is missing", where_, key);
    return *found;
  }
  std::string text(const std::string& key) {
    const json& value = field(key);
    if (!value.is_string())
      fail(ErrorCode::kInvalidArgument, "{}: expected a text, not {}", path(key), json_excerpt(value));
    return value.get<std::string>();
  }
  SpeedObject object(const std::string& key) { return {field(key), path(key)}; }
  void no_others() const {
    for (const auto& [key, value] : value_.items())
      if (!known_.contains(key))
        fail(ErrorCode::kInvalidArgument, "{}: \"{}\" is no field here{}", where_, key,
             did_you_mean(key, std::vector<std::string>(known_.begin(), known_.end())));
  }
  const json& value() const { return value_; }

 private:
  const json& value_;
  std::string where_;
  std::set<std::string> known_;
};

double positive_number(const json& value, const std::string& where) {
  if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() <= 0 ||
      value.get<double>() > kLargestFigure)
    fail(ErrorCode::kInvalidArgument, "{}: expected a number above 0 and at most {:.0e}, not {}", where, kLargestFigure,
         json_excerpt(value));
  return value.get<double>();
}

Figure figure_of(SpeedObject object) {
  Figure figure{positive_number(object.field("value"), object.path("value")), object.text("source")};
  object.no_others();
  return figure;
}

/// Pairs of numbers above 0, the first ones rising.
std::vector<std::pair<double, double>> points_of(const json& list, const std::string& where) {
  if (!list.is_array() || list.empty())
    fail(ErrorCode::kInvalidArgument, "{}: expected a list of pairs of numbers, not {}", where, json_excerpt(list));
  std::vector<std::pair<double, double>> points;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", where, i);
    if (!list[i].is_array() || list[i].size() != 2)
      fail(ErrorCode::kInvalidArgument, "{}: expected two numbers, not {}", at, json_excerpt(list[i]));
    points.emplace_back(positive_number(list[i][0], at), positive_number(list[i][1], at));
    if (i > 0 && points[i].first <= points[i - 1].first)
      fail(ErrorCode::kInvalidArgument, "{}: {} does not rise from the point before it", at, points[i].first);
  }
  return points;
}

KernelChoices choices_of(const json& object, const std::string& where) {
  KernelChoices choices;
  if (!object.is_object()) fail(ErrorCode::kInvalidArgument, "{}: expected a JSON object", where);
  for (const auto& [signature, variant] : object.items()) {
    if (!variant.is_string())
      fail(ErrorCode::kInvalidArgument, "{}: \"{}\" is {}, expected a text", where, signature, json_excerpt(variant));
    choices[signature] = variant.get<std::string>();
  }
  return choices;
}

vk::KernelFaults faults_of(const json& object, const std::string& where) {
  vk::KernelFaults faults;
  if (!object.is_object()) fail(ErrorCode::kInvalidArgument, "{}: expected a JSON object", where);
  for (const auto& [kernel, fault] : object.items()) {
    if (!fault.is_number_unsigned())
      fail(ErrorCode::kInvalidArgument, "{}: \"{}\" is {}, expected how many registers it spills", where, kernel,
           json_excerpt(fault));
    faults[kernel] = fault.get<std::uint64_t>();
  }
  return faults;
}

void read_kernels(SpeedObject object, DeviceSpeed& speed) {
  speed.kernels_source = object.text("source");
  const SpeedObject shares = object.object("shares");
  for (const auto& [kernel, list] : shares.value().items()) {
    std::vector<Efficiency>& points = speed.kernels[kernel];
    for (const auto& [seconds, share] : points_of(list, shares.path(kernel))) points.push_back({seconds, share});
  }
  object.no_others();
}

DeviceSpeed speed_of(const json& value, const std::string& where) {
  SpeedObject root(value, where);
  DeviceSpeed speed;
  speed.name = root.text("name");
  speed.note = root.text("note");
  speed.memory = figure_of(root.object("memory"));
  speed.flops = figure_of(root.object("flops"));
  SpeedObject copies = root.object("copies");
  speed.copies_source = copies.text("source");
  for (const auto& [bytes, rate] : points_of(copies.field("rates"), copies.path("rates")))
    speed.copies.push_back({bytes, rate});
  copies.no_others();
  speed.launch = figure_of(root.object("launch"));
  speed.submission = figure_of(root.object("submission"));
  if (root.find("upload") != nullptr) speed.upload = figure_of(root.object("upload"));
  if (root.find("download") != nullptr) speed.download = figure_of(root.object("download"));
  read_kernels(root.object("kernels"), speed);
  speed.limits_source = root.text("limits_source");
  speed.profile = vk::parse_profile(root.field("limits").dump(), speed.name, root.path("limits"));
  if (const json* choices = root.find("choices")) speed.choices = choices_of(*choices, root.path("choices"));
  if (const json* faults = root.find("faults")) speed.profile.faults = faults_of(*faults, root.path("faults"));
  root.no_others();
  return speed;
}

/// The table of the build: what all devices have in common stands once.
std::vector<DeviceSpeed> read_named_devices() {
  const std::string where = "named_devices.json";
  const json table = parse_json(embedded::kNamedDevices, where, {.max_bytes = kMostSpeedBytes});
  std::vector<DeviceSpeed> devices;
  for (const json& entry : table.at("devices")) {
    json whole = table.at("common");
    whole.update(entry);
    devices.push_back(speed_of(whole, where + ": " + entry.at("name").get<std::string>()));
  }
  return devices;
}

std::string lower_case_name(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

ordered_json figure_json(const Figure& figure) {
  return {{"value", figure.value}, {"source", figure.source}};
}

}  // namespace

std::string device_speed_json(const DeviceSpeed& speed) {
  ordered_json root{{"format", kSpeedFormat},
                    {"name", speed.name},
                    {"note", speed.note},
                    {"memory", figure_json(speed.memory)},
                    {"flops", figure_json(speed.flops)}};
  ordered_json rates = ordered_json::array(), shares = ordered_json::object();
  for (const CopyRate& copy : speed.copies) rates.push_back({copy.bytes, copy.per_second});
  root["copies"] = {{"source", speed.copies_source}, {"rates", rates}};
  root["launch"] = figure_json(speed.launch);
  root["submission"] = figure_json(speed.submission);
  if (speed.upload.value > 0) root["upload"] = figure_json(speed.upload);
  if (speed.download.value > 0) root["download"] = figure_json(speed.download);
  for (const auto& [kernel, points] : speed.kernels)
    for (const Efficiency& point : points) shares[kernel].push_back({point.roof_seconds, point.share});
  root["kernels"] = {{"source", speed.kernels_source}, {"shares", shares}};
  root["limits_source"] = speed.limits_source;
  root["limits"] = ordered_json::parse(vk::profile_json(speed.profile));
  if (!speed.choices.empty()) root["choices"] = speed.choices;
  if (!speed.profile.faults.empty()) root["faults"] = speed.profile.faults;
  return dump_json(root, 1) + "\n";
}

DeviceSpeed parse_device_speed(std::string_view json_text, const std::string& source) {
  json root = parse_json(json_text, source, {.max_bytes = kMostSpeedBytes, .max_depth = 8});
  if (!root.is_object()) fail(ErrorCode::kInvalidArgument, "{}: a device profile is one JSON object", source);
  const auto format = root.find("format");
  if (format == root.end() || *format != kSpeedFormat)
    fail(ErrorCode::kInvalidArgument, "{}: \"format\" is {}, this fabula reads {}", source,
         format == root.end() ? "missing" : json_excerpt(*format), kSpeedFormat);
  root.erase(format);
  return speed_of(root, source);
}

const std::vector<DeviceSpeed>& named_devices() {
  static const std::vector<DeviceSpeed> devices = read_named_devices();
  return devices;
}

DeviceSpeed find_device_speed(const std::string& name_or_file) {
  std::vector<std::string> names;
  for (const DeviceSpeed& speed : named_devices()) {
    if (lower_case_name(speed.name) == lower_case_name(name_or_file)) return speed;
    names.push_back(speed.name);
  }
  if (std::filesystem::exists(name_or_file))
    return parse_device_speed(read_file(name_or_file, kMostSpeedBytes), name_or_file);
  fail(ErrorCode::kInvalidArgument,
       "\"{}\" is neither a file nor a device whose profile is known: {}. fabula bench roof --save FILE measures the "
       "device "
       "at hand{}",
       name_or_file, fmt::join(names, ", "), did_you_mean(name_or_file, names));
}

vk::DeviceInfo device_info(const DeviceSpeed& speed) {
  vk::DeviceInfo info;
  info.name = speed.name;
  info.driver = speed.note;
  info.profile = speed.profile;
  info.device_memory = static_cast<std::uint64_t>(speed.memory.value);
  return info;
}

}  // namespace fabula::tuning
