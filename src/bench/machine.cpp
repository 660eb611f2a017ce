#include "bench/machine.hpp"

#include <fmt/format.h>

#include "base/machine.hpp"

namespace fabula::bench {

std::vector<std::string> machine_notes(const vk::Device& device) {
  return {fmt::format("device: {} ({})", device.profile().name, device.info().driver), "processor: " + processor_text(),
          "fabula " FABULA_VERSION " (" FABULA_COMMIT ")"};
}

}  // namespace fabula::bench
