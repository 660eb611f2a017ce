#include "command_line.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/nearest.hpp"
#include "fabula/error.hpp"
#include "ranks.hpp"
#include "train/fit.hpp"

namespace fabula::app {
namespace {

void collect_flags(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
}

/// The command that was recognised, and what may follow it.
struct Place {
  const CLI::App* app;
  std::string name;                       ///< "fabula tokenizer train"
  std::vector<std::string> flags, below;  ///< flags of it and its parents; its commands
};

Place place_of(const CLI::App& root) {
  Place place{&root, "fabula", {}, {}};
  while (true) {
    collect_flags(*place.app, place.flags);
    const auto parsed = place.app->get_subcommands();
    if (parsed.empty()) break;
    place.app = parsed.front();
    place.name += " " + place.app->get_name();
  }
  for (const CLI::App* sub : place.app->get_subcommands([](const CLI::App* app) { return !app->get_name().empty(); }))
    place.below.push_back(sub->get_name());
  return place;
}

}  // namespace

CommandLine::CommandLine() : app_("fabula: train and run small language models on any Vulkan device") {
  app_.require_subcommand(1);
  app_.set_version_flag("--version", FABULA_VERSION);
  app_.get_formatter()->column_width(34);
  app_.footer("fabula COMMAND --help shows a command's flags. Results go to stdout, progress to stderr.");
}

int CommandLine::run_chosen() const {
  if (!joins_ranks_) return run_with_advice(nullptr);
  return run_on_ranks([this](train::Reducer* ranks) { return run_with_advice(ranks); });
}

int CommandLine::run_with_advice(train::Reducer* ranks) const {
  try {
    return chosen_(ranks);
  } catch (const Error& error) {
    const bool advised = std::string_view(error.what()).find(train::kWhatNeedsLess) != std::string_view::npos;
    if (error.code() == ErrorCode::kOutOfMemory && !memory_advice_.empty() && !advised)
      fail(error.code(), "{}. {}: {}", error.what(), train::kWhatNeedsLess, memory_advice_);
    if (error.code() == ErrorCode::kDeviceLost)
      fail(error.code(),
           "{}. A training run goes on from its last checkpoint with --resume auto; `fabula check` looks for the "
           "kernel "
           "that this driver does not bear, a smaller batch makes all of them shorter",
           error.what());
    throw;
  }
}

int explain(CommandLine& line, const CLI::ParseError& error, const std::vector<std::string>& arguments) {
  if (error.get_exit_code() == 0) return line.app().exit(error);  // --help, --version
  const Place place = place_of(line.app());
  const bool wants_command = !place.below.empty();
  const auto known = [](const std::vector<std::string>& names, const std::string& word) {
    return std::find(names.begin(), names.end(), word) != names.end();
  };
  std::string unknown, near;
  for (std::size_t i = 1; i < arguments.size() && unknown.empty(); ++i) {
    const std::string word = arguments[i].substr(0, arguments[i].find('='));
    const bool flag = word.rfind("--", 0) == 0;
    if (flag ? known(place.flags, word)
             : !wants_command || (" " + place.name + " ").find(" " + word + " ") != std::string::npos)
      continue;
    unknown = word;
    near = nearest(word, flag ? place.flags : place.below);
  }
  if (unknown.empty()) {
    if (wants_command)
      info("{}: name a command: {}", place.name, CLI::detail::join(place.below, ", "));
    else
      info("fabula: {}", error.what());
  } else {
    info("{}: there is no {} \"{}\"{}", place.name, unknown.front() == '-' ? "flag" : "command", unknown,
         near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
  info("{} --help lists {}", place.name, wants_command ? "the commands" : "its flags");
  return 2;
}

}  // namespace fabula::app
