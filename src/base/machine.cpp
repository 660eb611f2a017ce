#include "base/machine.hpp"

#include <unistd.h>

#include <fmt/format.h>

#include <fstream>
#include <thread>

namespace fabula {

std::int64_t process_id() {
  return ::getpid();
}

std::string processor_text() {
  std::string name = "unknown processor";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) name = line.substr(colon + 2);
    break;
  }
  return fmt::format("{}, {} threads", name, std::thread::hardware_concurrency());
}

}  // namespace fabula
