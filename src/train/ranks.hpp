#pragma once
#include <cstdint>
#include <string>

#include "formats/train_config.hpp"
#include "graph/runtime.hpp"
#include "models/language_model.hpp"

namespace fabula::train {

/// Micro-batches of a step that each of `ranks` takes. Throws kInvalidArgument where they do not divide, with settings
/// of the same step that do.
std::int64_t own_micro_batches(const TrainConfig& config, int ranks);

/// Whether a rank's part of a step is a subtree of gradient_tree, so that any number of ranks of which this holds
/// computes the same bits.
bool has_subtrees(const TrainConfig& config, int ranks);

/// A hash of all parameters as the device holds them; waits.
std::string weights_hash(graph::Runtime& runtime, const models::LanguageModel& model);

}  // namespace fabula::train
