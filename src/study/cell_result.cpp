#include "study/cell_result.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/atomic_file.hpp"
#include "base/fail.hpp"
#include "base/file_io.hpp"
#include "formats/json_access.hpp"

namespace fabula::study {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kMaxResultBytes = 16u << 20;

// Values by key; one that is missing or of another kind is an error.
class ResultReader {
 public:
  ResultReader(const json& object, std::string_view source) : object_(object), source_(source) {
    if (!object.is_object()) fail(ErrorCode::kFormat, "{}: expected a JSON object", source);
  }

  const json& at(const char* key) const {
    const auto it = object_.find(key);
    if (it == object_.end()) fail(ErrorCode::kFormat, "{}: \"{}\" is missing", source_, key);
    return *it;
  }
  template <class T>
  void read(const char* key, T& value) const try {
    at(key).get_to(value);
  } catch (const json::exception&) {
    fail(ErrorCode::kFormat, "{}: \"{}\" is {}", source_, key, json_excerpt(at(key)));
  }
  void read_number(const char* key, double& value) const {
    if (at(key).is_null())
      value = kNoNumber;
    else
      read(key, value);
  }
  const json& list(const char* key) const {
    if (!at(key).is_array()) fail(ErrorCode::kFormat, "{}: \"{}\" is no list", source_, key);
    return at(key);
  }

 private:
  const json& object_;
  std::string_view source_;
};

}  // namespace

double CellResult::perplexity() const {
  return std::exp(loss);
}

ordered_json cell_result_json(const CellResult& r) {
  ordered_json json{{"cell", r.cell},
                    {"row", r.row},
                    {"learning_rate", r.learning_rate},
                    {"seed", r.seed},
                    {"digest", r.digest},
                    {"set", r.overrides},
                    {"diverged", r.diverged},
                    {"head", r.head},
                    {"steps", r.steps},
                    {"tokens", r.tokens},
                    {"positions", r.positions},
                    {"loss", json_number(r.loss)},
                    {"perplexity", json_number(r.perplexity())},
                    {"token_accuracy", json_number(r.token_accuracy)},
                    {"group_accuracy", json_number(r.group_accuracy)},
                    {"token_in_group_accuracy", json_number(r.token_in_group_accuracy)},
                    {"parameters", r.parameters},
                    {"head_parameters", r.head_parameters},
                    {"logits", json_number(r.logits)},
                    {"most_logits", r.most_logits},
                    {"peak_bytes", r.peak_bytes},
                    {"device", r.device},
                    {"driver", r.driver},
                    {"program", r.program}};
  json["bands"] = ordered_json::array();
  for (const BandResult& band : r.bands)
    json["bands"].push_back({{"band", band.band},
                             {"tokens", band.tokens},
                             {"positions", band.positions},
                             {"loss", json_number(band.loss)},
                             {"token_accuracy", json_number(band.token_accuracy)},
                             {"group_accuracy", json_number(band.group_accuracy)}});
  json["curve"] = ordered_json::array();
  ordered_json seconds = ordered_json::array();
  for (const CurvePoint& point : r.curve) {
    json["curve"].push_back({{"step", point.step}, {"loss", json_number(point.loss)}});
    seconds.push_back(point.seconds);
  }
  json["timings"] = {{"tokens_per_second", r.timings.tokens_per_second},
                     {"seconds_per_step", r.timings.seconds_per_step},
                     {"seconds", r.timings.seconds},
                     {"curve_seconds", seconds}};
  json["config"] = ordered_json::parse(r.config);
  return json;
}

CellResult parse_cell_result(std::string_view json_text, std::string_view source) {
  const json root = parse_json(json_text, source, {.max_bytes = kMaxResultBytes, .max_depth = 16});
  const ResultReader reader(root, source);
  CellResult r;
  reader.read("cell", r.cell);
  reader.read("row", r.row);
  reader.read("learning_rate", r.learning_rate);
  reader.read("seed", r.seed);
  reader.read("digest", r.digest);
  reader.read("set", r.overrides);
  reader.read("diverged", r.diverged);
  reader.read("head", r.head);
  reader.read("steps", r.steps);
  reader.read("tokens", r.tokens);
  reader.read("positions", r.positions);
  reader.read_number("loss", r.loss);
  reader.read_number("token_accuracy", r.token_accuracy);
  reader.read_number("group_accuracy", r.group_accuracy);
  reader.read_number("token_in_group_accuracy", r.token_in_group_accuracy);
  reader.read("parameters", r.parameters);
  reader.read("head_parameters", r.head_parameters);
  reader.read_number("logits", r.logits);
  reader.read("most_logits", r.most_logits);
  reader.read("peak_bytes", r.peak_bytes);
  reader.read("device", r.device);
  reader.read("driver", r.driver);
  reader.read("program", r.program);
  for (const json& entry : reader.list("bands")) {
    const ResultReader band(entry, source);
    BandResult& value = r.bands.emplace_back();
    band.read("band", value.band);
    band.read("tokens", value.tokens);
    band.read("positions", value.positions);
    band.read_number("loss", value.loss);
    band.read_number("token_accuracy", value.token_accuracy);
    if (entry.contains("group_accuracy"))
      band.read_number("group_accuracy", value.group_accuracy);  // older results: none
  }
  const ResultReader timings(reader.at("timings"), source);
  timings.read("tokens_per_second", r.timings.tokens_per_second);
  timings.read("seconds_per_step", r.timings.seconds_per_step);
  timings.read("seconds", r.timings.seconds);
  std::vector<double> seconds;
  timings.read("curve_seconds", seconds);
  for (const json& entry : reader.list("curve")) {
    const ResultReader point(entry, source);
    CurvePoint& value = r.curve.emplace_back();
    point.read("step", value.step);
    point.read_number("loss", value.loss);
  }
  if (seconds.size() != r.curve.size())
    fail(ErrorCode::kFormat, "{}: the curve has {} points, and seconds for {}", source, r.curve.size(), seconds.size());
  for (std::size_t i = 0; i < seconds.size(); ++i) r.curve[i].seconds = seconds[i];
  reader.at("config");
  r.config = ordered_json::parse(json_text)["config"].dump(2);  // in the order of config_json
  return r;
}

void write_cell_result(const std::filesystem::path& path, const CellResult& result) {
  write_file_atomically(path, dump_json(cell_result_json(result), 2) + "\n");
}

CellResult read_cell_result(const std::filesystem::path& path) {
  return parse_cell_result(read_file(path, kMaxResultBytes), path.string());
}

}  // namespace fabula::study
