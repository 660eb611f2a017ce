#include "base/log.hpp"

#include <cstdio>
#include <string>

namespace fabula {
namespace {

// One fwrite a line, so that lines of two threads do not mix.
void print_line(std::string line) {
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

void log_info(std::string_view message) {
  print_line(std::string(message));
}
void log_warn(std::string_view message) {
  print_line("warning: " + std::string(message));
}

}  // namespace fabula
