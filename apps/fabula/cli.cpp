// The command line: its flags are declared in *_flags.cpp, from which help, messages and completion come.
#include "all_commands.hpp"

namespace fabula::app {

int run_command_line(const std::vector<std::string>& arguments) {
  std::vector<const char*> words;
  for (const std::string& argument : arguments) words.push_back(argument.c_str());
  AllArgs args;
  CommandLine line;
  declare_training_commands(line, args);
  declare_compare_command(line, args);
  declare_model_commands(line, args);
  declare_convert_commands(line, args);
  declare_serve_command(line, args);
  declare_text_commands(line, args);
  declare_device_commands(line, args);
  declare_bench_commands(line, args);
  try {
    line.app().parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ParseError& error) {
    return explain(line, error, arguments);
  }
  return line.run_chosen();
}

}  // namespace fabula::app
