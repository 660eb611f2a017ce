#include <algorithm>
#include <filesystem>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/perplexity.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "convert/head_choice.hpp"
#include "convert/heads.hpp"
#include "evaluation_text.hpp"
#include "json_output.hpp"
#include "tuning/tuned_device.hpp"

namespace fabula::app {
namespace {

namespace fs = std::filesystem;
constexpr const char* kFineTuned = "fine_tuned";
constexpr std::int64_t kWarmUpParts = 10;  // of a fine-tune's steps
constexpr double kGentler = 3;             // than the model's own peak rate

double perplexity_in(const std::string& path, const ConvertArgs& args, const tuning::OpenedDevice& tuned) {
  return perplexity_of(infer::ModelFolder(path, args.end_token), args.valid, args.reading, tuned);
}

/// The ordinary trainer, started from the new model. What the user sets has the last word.
TrainArgs fine_tuning(const ConvertArgs& args, const TrainConfig& was) {
  TrainArgs train;
  train.config = args.out;
  train.from = args.out;
  train.out = (fs::path(args.out) / kFineTuned).string();
  train.data = args.data;
  train.valid = args.valid;
  train.end_token = args.end_token;
  train.reading = args.reading;
  train.device = args.device;
  train.overrides = {fmt::format("train.steps={}", args.fine_tune),
                     fmt::format("train.warmup_steps={}", args.fine_tune / kWarmUpParts),
                     fmt::format("train.learning_rate={:.3g}", was.learning_rate / kGentler)};
  for (const std::string& text : args.overrides)
    if (text.starts_with("train.")) train.overrides.push_back(text);
  return train;
}

/// What the conversion has cost so far, as the end of the output.
struct Costs {
  std::optional<double> before, after, tuned;

  Json json() const {
    Json object = Json::object();
    const auto add = [&](const char* name, const std::optional<double>& value) {
      if (value) object[name] = number(*value);
    };
    add("perplexity_before", before);
    add("perplexity_converted", after);
    add("perplexity_fine_tuned", tuned);
    return object;
  }
  void print_rows(const ConvertArgs& args) const {
    const auto row = [&](const std::string& name, const std::optional<double>& value) {
      if (value) print("{:<40} {}\n", name, perplexity_text(*value, 3));
    };
    row("perplexity before", before);
    row("perplexity, converted", after);
    row(fmt::format("perplexity after {} more steps", args.fine_tune), tuned);
  }
};

void say(const convert::ConvertedHead& head, const ConvertArgs& args) {
  info("{}: {} became {}", args.out, head.was, head.is);
  if (head.tried.empty()) return;
  const auto list = [](const std::vector<convert::TriedScores>& tried) {
    std::string text;
    for (const convert::TriedScores& way : tried)
      text += fmt::format("{}{} {:.4f}", text.empty() ? "" : ", ", way.way, way.cost);
    return text;
  };
  info("the first level loses, in nats a token of text that it was not fitted to: {}; {} was taken", list(head.tried),
       head.tried[head.best].way);
  if (head.maps.size() > 1) info("with tokens grouped by: {}; {} was taken", list(head.maps), head.maps[head.map].way);
}

Json costs_json(const convert::ConvertedHead& head, const Costs& costs) {
  Json json{{"head_before", head.was}, {"head", head.is}};
  json.update(costs.json());
  if (head.tried.empty()) return json;
  const auto list = [](const std::vector<convert::TriedScores>& tried) {
    Json object = Json::object();
    for (const convert::TriedScores& way : tried) object[std::string(way.way)] = number(way.cost);
    return object;
  };
  json["nats_lost"] = list(head.tried);
  json["way"] = head.tried[head.best].way;
  json["nats_lost_by_map"] = list(head.maps);
  json["map"] = head.maps[head.map].way;
  return json;
}

}  // namespace

int convert_head(const ConvertArgs& args) {
  const infer::ModelFolder folder(args.run, args.end_token);
  const RunConfig config = convert::config_with_head(folder.config(), args.run, args.head, args.overrides);
  convert::HeadOptions options{.out = args.out, .overwrite = args.overwrite};
  options.seed = static_cast<std::uint64_t>(config.train.seed);
  convert::check_output(folder, options);
  if (const fs::path tuned = fs::path(args.out) / kFineTuned; args.fine_tune > 0 && fs::exists(tuned))
    fail(ErrorCode::kInvalidArgument, "{} is there already; name another --out, or move it away", tuned.string());
  convert::ConvertedHead head;
  Costs costs;
  const bool needs_device = config.model.head.has_map() || !args.valid.empty();
  if (needs_device) {
    const tuning::OpenedDevice tuned = tuning::open_tuned_device(args.device);
    if (!args.valid.empty()) costs.before = perplexity_in(args.run, args, tuned);
    if (config.model.head.has_map() && !args.data.empty()) {
      const EvaluationText data(args.data, folder, args.reading);
      head = convert::convert_head(folder, config, options, *tuned.device, {tuned.device->profile(), tuned.choices},
                                   data.file());
    } else {
      head = convert::convert_head(folder, config, options);
    }
    say(head, args);
    if (!args.valid.empty()) costs.after = perplexity_in(args.out, args, tuned);
  } else {
    head = convert::convert_head(folder, config, options);
    say(head, args);
  }
  int status = 0;
  if (args.fine_tune > 0) {
    const TrainArgs training = fine_tuning(args, folder.config().train);
    info("training it, as:\n  {}", train_command(training, {}));
    status = train(training, nullptr);
    if (status == 0 && !args.valid.empty())
      costs.tuned = perplexity_in(training.out, args, tuning::open_tuned_device(args.device));
  }
  if (args.json)
    print("{}\n", dump(costs_json(head, costs)));
  else
    costs.print_rows(args);
  return status;
}

}  // namespace fabula::app
