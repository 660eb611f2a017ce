#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "train/reducer.hpp"

namespace fabula::app {

/// The commands being declared; the chosen one is run after parsing.
class CommandLine {
 public:
  CommandLine();

  CLI::App& app() { return app_; }

  /// `memory_advice`: which flags of the command need less device memory. What is below the program says how much was
  /// wanted and how much there is; it knows no flags.
  template <class Args>
  CLI::App* command(CLI::App& parent, const std::string& name, const std::string& help, Args& args,
                    int (*run)(const Args&), std::string_view memory_advice = {}) {
    CLI::App* sub = parent.add_subcommand(name, help);
    sub->callback([=, this, &args] {
      chosen_ = [&args, run](train::Reducer*) { return run(args); };
      memory_advice_ = memory_advice;
    });
    return sub;
  }
  /// A command that takes the processes that mpirun has started together; null: it was started alone.
  template <class Args>
  CLI::App* command(CLI::App& parent, const std::string& name, const std::string& help, Args& args,
                    int (*run)(const Args&, train::Reducer*), std::string_view memory_advice = {}) {
    CLI::App* sub = parent.add_subcommand(name, help);
    sub->callback([=, this, &args] {
      chosen_ = [&args, run](train::Reducer* ranks) { return run(args, ranks); };
      memory_advice_ = memory_advice;
      joins_ranks_ = true;
    });
    return sub;
  }
  /// Runs the chosen command; messages of too little memory, or of a lost device, get its advice.
  int run_chosen() const;

 private:
  int run_with_advice(train::Reducer* ranks) const;

  CLI::App app_;
  std::function<int(train::Reducer* ranks)> chosen_;
  bool joins_ranks_ = false;
  std::string_view memory_advice_;
};

// Which flags need less memory.
inline constexpr std::string_view kTrainingMemory =
    "--recompute block, --set train.batch_size=N with a larger train.grad_accumulation, --precision fp16, --set "
    "train.sequence_length=N, a smaller model; `fabula plan --fit` finds the largest batch";
inline constexpr std::string_view kEvaluationMemory =
    "--batch-size N, --sequence N, a smaller model; --device names another device";
inline constexpr std::string_view kDecodingMemory =
    "a smaller model, or one of fewer positions; --device names another device";

/// Prints what is wrong with the command line, and the nearest name that exists for one that does not. The exit status.
int explain(CommandLine& line, const CLI::ParseError& error, const std::vector<std::string>& arguments);

}  // namespace fabula::app
