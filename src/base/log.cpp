#include "base/log.hpp"

#include <cstdio>
#include <string>

#include "base/printable.hpp"

namespace fabula {
namespace {

// One fwrite a line, so that lines of two threads do not mix. Messages quote files and names of others.
void print_line(std::string_view text) {
  const std::string line = printable(text) + '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

void log_info(std::string_view message) {
  print_line(message);
}
void log_warn(std::string_view message) {
  print_line("warning: " + std::string(message));
}

}  // namespace fabula
