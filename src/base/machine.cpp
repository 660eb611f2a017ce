#include "base/machine.hpp"

#include <fmt/format.h>

#include <thread>

namespace fabula {

std::string processor_text() {
  const std::string name = processor_name();
  return fmt::format("{}, {} threads", name.empty() ? "unknown processor" : name, std::thread::hardware_concurrency());
}

}  // namespace fabula
