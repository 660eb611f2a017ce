#include "base/machine.hpp"

#include <unistd.h>

#include <fstream>

namespace fabula {

std::int64_t process_id() {
  return ::getpid();
}

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(": ");
    return colon == std::string::npos ? "" : line.substr(colon + 2);
  }
  return "";
}

}  // namespace fabula
