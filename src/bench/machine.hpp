#pragma once
#include <string>
#include <vector>

#include "formats/run_config.hpp"
#include "graph/target.hpp"
#include "vk/device.hpp"

namespace fabula::bench {

/// "fabula 0.1.0 (commit 6b88f789f2)".
std::string program_text();

/// What a figure means nothing without: device, driver, processor and the fabula version, a line each; and of how many
/// kernels the choice was measured.
std::vector<std::string> machine_notes(const vk::Device& device, const KernelChoices& choices = {});

/// The body and the step that heads are compared on: "8 layers, hidden 256, 8 heads, batch 32 x 512, fp32".
std::string step_note(const RunConfig& config);

}  // namespace fabula::bench
