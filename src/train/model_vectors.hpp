#pragma once
#include <cstdint>
#include <filesystem>
#include <span>

#include "maps/token_vectors.hpp"
#include "text/token_file.hpp"

namespace fabula::train {

/// The token embeddings of a model folder, by which its tokens can be clustered. Errors: those of ModelTensors::open;
/// kInvalidArgument unless there is a row for each of the tokens' vocabulary.
maps::TokenVectors model_vectors(const std::filesystem::path& folder, const text::TokenFile& tokens,
                                 std::span<const std::uint64_t> counts);

}  // namespace fabula::train
