#include "study/study_file.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "base/nearest.hpp"
#include "formats/json_access.hpp"

namespace fabula::study {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kMaxStudyBytes = 4u << 20;
constexpr std::size_t kMaxNameLength = 80;
constexpr std::size_t kMaxEntries = 1000;  // of each list
constexpr std::string_view kNameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.";
constexpr const char *kTrainTokens = "train.tokens", *kValidTokens = "valid.tokens", *kTokenizer = "tokenizer.json";

const std::vector<std::string> kStudyKeys{"title",          "config", "data", "set",
                                          "learning_rates", "seeds",  "rows", "reference"};
const std::vector<std::string> kRowKeys{"name", "group", "set", "learning_rates", "seeds", "map_of", "time_of"};
const std::vector<std::string> kDataKeys{"train", "valid", "tokenizer"};
const std::vector<std::string> kMapKeys{"row", "learning_rate"};

// Reads one object of the file; every message begins with where it stands.
class ObjectReader {
 public:
  ObjectReader(const json& object, std::string where, const std::vector<std::string>& keys)
      : object_(object), where_(std::move(where)) {
    if (!object.is_object()) refuse("is {}, expected an object", json_excerpt(object));
    for (const auto& [key, value] : object.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end())
        refuse("unknown key \"{}\"{}", key, did_you_mean(key, keys));
  }

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorCode::kInvalidArgument, "{}: {}", where_, fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void refuse_value(const std::string& key, const json& value, const std::string& expected) const {
    refuse("{} is {}, expected {}", key, json_excerpt(value), expected);
  }

  const json* find(const std::string& key) const {
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }

  std::string text(const std::string& key, const std::string& otherwise = {}) const {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_string() || value->get<std::string>().empty()) refuse_value(key, *value, "a text");
    return value->get<std::string>();
  }

  /// A list that is there has entries, and none of them twice.
  template <class T>
  std::vector<T> numbers(const std::string& key, const std::string& expected,
                         const std::function<bool(const json&)>& valid) const {
    std::vector<T> result;
    const json* value = find(key);
    if (value == nullptr) return result;
    if (!value->is_array() || value->size() > kMaxEntries) refuse_value(key, *value, "a list of " + expected);
    if (value->empty()) refuse("{} is an empty list; name one or more, or leave the key out", key);
    for (const json& entry : *value) {
      if (!valid(entry)) refuse_value("an entry of " + key, entry, expected);
      result.push_back(entry.get<T>());
      if (std::count(result.begin(), result.end(), result.back()) > 1)
        refuse("{} has {} twice", key, json_excerpt(entry));
    }
    return result;
  }
  std::vector<double> learning_rates() const {
    return numbers<double>("learning_rates", "numbers above 0",
                           [](const json& entry) { return entry.is_number() && entry.get<double>() > 0; });
  }
  std::vector<std::int64_t> seeds() const {
    return numbers<std::int64_t>("seeds", "whole numbers from 0", [](const json& entry) {
      return entry.is_number_integer() && entry <= json(std::numeric_limits<std::int64_t>::max()) && entry >= json(0);
    });
  }

  /// Overrides, each as --set takes it. `elsewhere`: keys that another key of the study says, and which.
  std::vector<std::string> overrides(const std::vector<std::pair<std::string, std::string>>& elsewhere) const {
    std::vector<std::string> result;
    const json* value = find("set");
    if (value == nullptr) return result;
    if (!value->is_object()) refuse_value("set", *value, "an object of config keys, {\"head.kind\": \"fused\"} say");
    for (const auto& [key, entry] : value->items()) {
      if (key.empty() || key.find('=') != key.npos) refuse("set has the key \"{}\", which no config has", key);
      for (const auto& [reserved, by] : elsewhere)
        if (key == reserved) refuse("set has {}, which {} says", key, by);
      // A text that reads as another kind of value keeps its quotes.
      const bool plain = entry.is_string() && !json::accept(entry.get<std::string>());
      result.push_back(key + "=" + (plain ? entry.get<std::string>() : dump_json(entry)));
    }
    return result;
  }

  const std::string& where() const { return where_; }

 private:
  const json& object_;
  std::string where_;
};

std::vector<std::pair<std::string, std::string>> keys_of_lists() {
  return {{"train.learning_rate", "learning_rates"}, {"train.seed", "seeds"}};
}

MapSource read_map_source(const ObjectReader& row, const json& value) {
  if (value.is_string()) return {value.get<std::string>(), std::nullopt};
  const ObjectReader reader(value, row.where() + ": map_of", kMapKeys);
  MapSource source{reader.text("row"), std::nullopt};
  if (source.row.empty()) reader.refuse("row is missing: name the row whose model the map is made from");
  if (const json* rate = reader.find("learning_rate")) {
    if (!rate->is_number()) reader.refuse_value("learning_rate", *rate, "a number");
    source.learning_rate = rate->get<double>();
  }
  return source;
}

StudyRow read_row(const json& value, std::size_t index, const std::string& source, const Study& study,
                  const ObjectReader& whole) {
  std::string name;
  if (value.is_object() && value.contains("name") && value["name"].is_string()) name = value["name"];
  const ObjectReader reader(
      value, name.empty() ? fmt::format("{}: row {}", source, index + 1) : fmt::format("{}: row \"{}\"", source, name),
      kRowKeys);
  if (name.empty()) reader.refuse("name is missing");
  if (name.size() > kMaxNameLength || name.find_first_not_of(kNameLetters) != name.npos || name.front() == '.' ||
      name.front() == '-')
    reader.refuse("a name has up to {} letters, digits and _-+. and begins with none of -. since files are named so",
                  kMaxNameLength);
  for (const StudyRow& other : study.rows)
    if (other.name == name) reader.refuse("two rows have this name");
  StudyRow row;
  row.name = name;
  row.group = reader.text("group");
  row.time_of = reader.text("time_of");
  auto elsewhere = keys_of_lists();
  if (const json* source_row = reader.find("map_of")) {
    row.map_of = read_map_source(reader, *source_row);
    for (const char* key : {"head.map", "head.map_file"}) elsewhere.emplace_back(key, "map_of");
  }
  if (!row.time_of.empty())
    for (const char* key : {"train.steps", "train.tokens", "train.epochs"}) elsewhere.emplace_back(key, "time_of");
  row.overrides = whole.overrides(keys_of_lists());
  for (std::string& text : reader.overrides(elsewhere)) row.overrides.push_back(std::move(text));
  row.learning_rates = reader.find("learning_rates") ? reader.learning_rates() : whole.learning_rates();
  row.seeds = reader.find("seeds") ? reader.seeds() : whole.seeds();
  return row;
}

std::vector<std::string> names_of(const Study& study) {
  std::vector<std::string> names;
  for (const StudyRow& row : study.rows) names.push_back(row.name);
  return names;
}

void check_reference(const Study& study, const std::string& where, const char* key, const std::string& name) {
  const std::vector<std::string> names = names_of(study);
  if (std::find(names.begin(), names.end(), name) == names.end())
    fail(ErrorCode::kInvalidArgument, "{}: {} is \"{}\", and no row has that name{}; there are {}", where, key, name,
         did_you_mean(name, names), fmt::join(names, ", "));
}

void check_map_source(const Study& study, const StudyRow& row, const std::string& where) {
  check_reference(study, where, "map_of", row.map_of->row);
  const StudyRow& source = study.row(row.map_of->row);
  const auto& rates = source.learning_rates;
  if (row.map_of->learning_rate && !rates.empty() &&
      std::find(rates.begin(), rates.end(), *row.map_of->learning_rate) == rates.end())
    fail(ErrorCode::kInvalidArgument, "{}: map_of names learning rate {} of \"{}\", which has {}", where,
         *row.map_of->learning_rate, source.name, fmt::join(rates, ", "));
  if (source.seeds.empty()) return;  // the config's own, which the plan of the cells knows
  for (const std::int64_t seed : row.seeds)
    if (std::find(source.seeds.begin(), source.seeds.end(), seed) == source.seeds.end())
      fail(ErrorCode::kInvalidArgument,
           "{}: seed {} is none of \"{}\", whose model of the same seed the map is made from (map_of)", where, seed,
           source.name);
}

void check_rows(const Study& study, const std::string& source) {
  check_reference(study, source, "reference", study.reference);
  for (const StudyRow& row : study.rows) {
    const std::string where = fmt::format("{}: row \"{}\"", source, row.name);
    if (row.map_of) check_map_source(study, row, where);
    if (!row.time_of.empty()) check_reference(study, where, "time_of", row.time_of);
  }
  run_order(study);
}

}  // namespace

const StudyRow& Study::row(std::string_view name_of_row) const {
  for (const StudyRow& candidate : rows)
    if (candidate.name == name_of_row) return candidate;
  fail(ErrorCode::kInvalidArgument, "{}: there is no row \"{}\"{}; there are {}", file.string(), name_of_row,
       did_you_mean(name_of_row, names_of(*this)), fmt::join(names_of(*this), ", "));
}

std::vector<const StudyRow*> run_order(const Study& study) {
  std::vector<const StudyRow*> order;
  std::set<std::string> done, under_way;
  const std::function<void(const StudyRow&)> add = [&](const StudyRow& row) {
    if (done.contains(row.name)) return;
    if (!under_way.insert(row.name).second)
      fail(ErrorCode::kInvalidArgument, "{}: row \"{}\": by map_of and time_of it needs itself to be finished first",
           study.file.string(), row.name);
    if (row.map_of) add(study.row(row.map_of->row));
    if (!row.time_of.empty()) add(study.row(row.time_of));
    done.insert(row.name);
    order.push_back(&row);
  };
  for (const StudyRow& row : study.rows) add(row);
  return order;
}

Study parse_study(std::string_view json_text, const fs::path& path, const fs::path& data) {
  const std::string source = path.string();
  const json root = parse_json(json_text, source, {.max_bytes = kMaxStudyBytes, .max_depth = 16});
  const ObjectReader reader(root, source, kStudyKeys);
  Study study;
  study.file = path;
  study.name = path.stem().string();
  study.title = reader.text("title", study.name);
  if (!reader.find("config")) reader.refuse("config is missing: name the config that the rows differ from");
  study.config = (path.parent_path() / reader.text("config")).lexically_normal();
  const json no_data = json::object();
  const json* files = reader.find("data");
  const ObjectReader data_reader(files ? *files : no_data, source + ": data", kDataKeys);
  if (data.empty() && files == nullptr)
    reader.refuse("data is missing, and no folder is given (--data): prepared training and validation tokens");
  const auto file = [&](const char* key, const char* otherwise) {
    const fs::path named = data_reader.text(key, otherwise);
    return data.empty() ? path.parent_path() / named : data / named.filename();
  };
  study.train = file("train", kTrainTokens);
  study.valid = file("valid", kValidTokens);
  study.tokenizer = file("tokenizer", kTokenizer);
  const json* rows = reader.find("rows");
  if (rows == nullptr || !rows->is_array() || rows->empty() || rows->size() > kMaxEntries)
    reader.refuse("rows is {}, expected a list with one object a row", rows ? json_excerpt(*rows) : "missing");
  for (std::size_t i = 0; i < rows->size(); ++i) study.rows.push_back(read_row((*rows)[i], i, source, study, reader));
  study.reference = reader.text("reference", study.rows.front().name);
  check_rows(study, source);
  return study;
}

Study read_study(const fs::path& path, const fs::path& data) {
  return parse_study(read_file(path, kMaxStudyBytes), path, data);
}

}  // namespace fabula::study
