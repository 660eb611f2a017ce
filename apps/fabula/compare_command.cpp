#include "study/compare.hpp"

#include <chrono>

#include "base/log.hpp"
#include "base/signals.hpp"
#include "base/terminal.hpp"
#include "bench/machine.hpp"
#include "commands.hpp"

namespace fabula::app {
namespace {

std::string compare_command(const CompareArgs& args) {
  std::string command = "fabula compare " + quoted(args.study);
  if (!args.data.empty()) command += " --data " + quoted(args.data);
  command += " --out " + quoted(args.out);
  if (!args.rows.empty()) command += " --row " + quoted(fmt::format("{}", fmt::join(args.rows, ",")));
  if (args.time_limit > 0) command += fmt::format(" --time-limit {}", args.time_limit);
  if (args.keep_weights) command += " --keep-weights";
  return command + device_flags(args.device);
}

/// What is finished, and by which command each run is trained alone.
void list_cells(const study::Comparison& comparison, const CompareArgs& args) {
  const study::Study& study = comparison.study();
  for (const study::Cell* cell : comparison.selected()) {
    TrainArgs train;
    train.config = study.config.string();
    train.overrides = comparison.overrides(*cell);
    train.data = study.train.string();
    train.valid = study.valid.string();
    train.tokenizer = study.tokenizer.string();
    train.out = cell->name;
    train.device = args.device;
    const char* const state = comparison.is_finished(*cell) ? "finished" : "to do";
    if (const std::string row = comparison.waits_for(*cell); !row.empty())
      print("{:<9} {}\n  after {}, which says what it trains with\n", state, cell->name, row);
    else
      print("{:<9} {}\n  {}\n", state, cell->name, train_command(train, ""));
  }
}

}  // namespace

int compare(const CompareArgs& args) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  study::Comparison comparison({.study = args.study,
                                .data = args.data,
                                .out = args.out,
                                .rows = args.rows,
                                .keep_weights = args.keep_weights,
                                .program = bench::program_text(),
                                .device = args.device});
  if (args.list) {
    list_cells(comparison, args);
    return 0;
  }
  const std::string page = (std::filesystem::path(args.out) / "study.html").string();
  if (args.table) {
    comparison.write_tables();
    info("tables: {}", page);
    return 0;
  }
  comparison.check_rows();
  const StopSignals signals;  // until here Ctrl-C ends the program at once: nothing is lost
  const study::CompareOutcome outcome = comparison.run([&] {
    return signals.requested() ||
           (args.time_limit > 0 && std::chrono::duration<double>(Clock::now() - start).count() >= args.time_limit);
  });
  if (outcome.stopped) {
    info("stopped {}: {} of {} runs are finished, what is under way is saved. Continue with:\n  {}",
         signals.requested() ? "as asked" : "at the time limit", outcome.finished, outcome.cells,
         compare_command(args));
    return signals.requested() ? 130 : 0;
  }
  info("done: {} runs. Tables and plots: {}", outcome.finished, page);
  return 0;
}

}  // namespace fabula::app
