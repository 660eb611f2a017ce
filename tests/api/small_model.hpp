#pragma once
#include <filesystem>
#include <string>

// What the tests of the C interface stand on, made by the library's own layers and not through the interface.
namespace fabula::test {

/// The last token of a small model: <|endoftext|>. The others are bytes.
inline constexpr unsigned kEndToken = 256;

/// Folders of models with random weights, a grouped head or a full one, 64 positions; written once.
const std::filesystem::path& grouped_model();
const std::filesystem::path& full_model();

/// The text that Generator writes, without the prompt; no token of it is kEndToken.
std::string generator_text(const std::filesystem::path& folder, const std::string& prompt, double temperature,
                           unsigned seed, int tokens);

}  // namespace fabula::test
