#pragma once
#include <cstdint>
#include <span>

#include "formats/run_config.hpp"
#include "formats/table.hpp"
#include "predict/model_time.hpp"

namespace fabula::predict {

/// Tokens that a text has when the cost of its next one is predicted: half of what the model takes.
std::int64_t usual_context(const ModelConfig& model);

/// What a config's training step and a token of one text would take on devices that are not there: a row each, with
/// memory, times and what does not fit. All of it is predicted.
Table predict_devices(std::span<const tuning::DeviceSpeed> devices, const RunConfig& config);

}  // namespace fabula::predict
