#include "formats/metrics.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "formats/json_access.hpp"

namespace fabula {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxMetricsBytes = 1ull << 30;

std::optional<MetricsRecord> parse_line(std::string_view line) {
  json root;
  try {
    root = parse_json(line, "metrics", {.max_bytes = 16u << 20, .max_depth = 4});
  } catch (const Error&) {
    return std::nullopt;
  }
  if (!root.is_object() || !root.contains("kind") || !root.contains("step")) return std::nullopt;
  if (!root["kind"].is_string() || !root["step"].is_number_integer()) return std::nullopt;
  MetricsRecord record{root["kind"].get<std::string>(), root["step"].get<std::int64_t>(), {}, {}};
  for (const auto& [key, value] : root.items()) {
    if (key == "kind" || key == "step") continue;
    if (value.is_number()) record.values[key] = value.get<double>();
    if (value.is_null()) record.values[key] = std::numeric_limits<double>::quiet_NaN();
    if (value.is_string()) record.texts[key] = value.get<std::string>();
  }
  return record;
}

// Calls visit(line, record) for every whole line; record is empty where the line is none. Returns false when the last
// line has no end.
template <class Visit>
bool for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    visit(text.substr(0, end + 1), parse_line(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  return true;
}

void remove_beyond(const std::filesystem::path& path, std::int64_t step) {
  if (!std::filesystem::exists(path)) return;
  const std::string text = read_file(path, kMaxMetricsBytes);
  std::string kept;
  for_each_line(text, [&](std::string_view line, const std::optional<MetricsRecord>& record) {
    if (record && record->step <= step) kept += line;
  });
  if (kept != text) write_file_atomically(path, kept);
}

std::filesystem::path cleaned(const std::filesystem::path& path, std::int64_t step) {
  remove_beyond(path, step);
  return path;
}

}  // namespace

std::string metrics_line(const MetricsRecord& record) {
  nlohmann::ordered_json root;
  root["kind"] = record.kind;
  root["step"] = record.step;
  for (const auto& [key, value] : record.values)
    root[key] = std::isfinite(value) ? nlohmann::ordered_json(value) : nullptr;
  for (const auto& [key, text] : record.texts) root[key] = text;
  return dump_json(root) + "\n";
}

MetricsWriter::MetricsWriter(const std::filesystem::path& path, std::int64_t resumed_step)
    : file_(cleaned(path, resumed_step), OutputFile::Mode::kAppend) {}

void MetricsWriter::append(const MetricsRecord& record) {
  file_.write(metrics_line(record));
}

std::vector<MetricsRecord> read_metrics(const std::filesystem::path& path) {
  std::vector<MetricsRecord> records;
  if (!std::filesystem::exists(path)) return records;
  std::map<std::pair<std::string, std::int64_t>, std::size_t> places;
  const std::string text = read_file(path, kMaxMetricsBytes);
  for_each_line(text, [&](std::string_view, std::optional<MetricsRecord> record) {
    if (!record) return;
    const auto [place, is_new] = places.emplace(std::pair(record->kind, record->step), records.size());
    if (is_new) {
      records.push_back(std::move(*record));
    } else {
      records[place->second] = std::move(*record);
    }
  });
  return records;
}

}  // namespace fabula
