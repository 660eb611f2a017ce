#pragma once
#include <cstdint>
#include <span>

#include "graph/runtime.hpp"
#include "models/language_model.hpp"
#include "train/regroup.hpp"

namespace fabula::train {

/// Makes the token map of a model on a device again, by what the model has learned of the tokens; weights, moments and
/// constants on the device go along. `counts` are the training tokens', `step` what it has been trained for. A function
/// of what is on the device alone, given the seed. Throws kNumeric for a weight that is not finite, with nothing
/// changed. The model is one that config's head.remap is for.
Moved remap(graph::Runtime& runtime, models::LanguageModel& model, std::span<const std::uint64_t> counts,
            std::uint64_t seed, std::int64_t step);

}  // namespace fabula::train
