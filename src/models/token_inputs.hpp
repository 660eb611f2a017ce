#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "graph/runtime.hpp"
#include "models/language_model.hpp"

// What a graph reads of its tokens, and the words of them.
namespace fabula::models {

/// Declares the inputs of N positions that token_words fills, and "seed" [1, 4] where there is a gradient and dropout.
BodyInputs token_inputs(graph::Graph& graph, const LanguageModel& model, std::int64_t N, heads::LossUse use);
/// For N = ids.size(). Throws kInvalidArgument naming the position for an id beyond the vocabulary.
std::vector<heads::NamedWords> token_words(const LanguageModel& model, std::span<const std::uint32_t> ids,
                                           heads::LossUse use);
void set_inputs(graph::Runtime& runtime, std::size_t graph, std::span<const heads::NamedWords> inputs);

/// What a step reads of its tokens beside their slots: the constant of step_constants, or nothing.
std::optional<ClassInputs> step_classes(graph::Graph& graph, const LanguageModel& model);
std::vector<heads::NamedWords> step_constants(const heads::Head& head);

}  // namespace fabula::models
