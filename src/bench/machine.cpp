#include "bench/machine.hpp"

#include <commit.h>  // FABULA_COMMIT; written by the build
#include <fmt/format.h>

#include "base/machine.hpp"
#include "train/training_plan.hpp"

namespace fabula::bench {

std::string program_text() {
  return "fabula " FABULA_VERSION " (" FABULA_COMMIT ")";
}

std::vector<std::string> machine_notes(const vk::Device& device, const KernelChoices& choices) {
  std::vector<std::string> notes{fmt::format("device: {} ({})", device.profile().name, device.info().driver),
                                 "processor: " + processor_text(), program_text()};
  if (!choices.empty())
    notes.push_back(fmt::format("kernels: {} choices as fabula tune measured them", choices.size()));
  return notes;
}

std::string step_note(const RunConfig& config) {
  return fmt::format("{} layers, hidden {}, {} heads, batch {} x {}, {}", config.model.layers, config.model.hidden,
                     config.model.heads, config.train.batch_size, config.sequence_length(),
                     precision_name(config.train.precision));
}

}  // namespace fabula::bench
