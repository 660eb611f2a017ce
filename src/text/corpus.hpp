#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace fabula::text {

/// One little story of the built-in grammar: some 80 to 250 simple English words in a few paragraphs, no line at the
/// end. The same for the same seed and number on every platform, and independent of all other stories.
std::string generate_story(uint64_t seed, uint64_t number);

/// Writes stories 0 to `stories` - 1 of a seed, each followed by "\n<|endoftext|>\n", one at a time.
void write_corpus(uint64_t seed, uint64_t stories, const std::function<void(std::string_view)>& write);
/// The same to a file, which appears whole or not at all; its bytes. Throws as AtomicFile.
uint64_t write_corpus_file(const std::filesystem::path& path, uint64_t seed, uint64_t stories);
/// The same as one text.
std::string generate_corpus(uint64_t seed, uint64_t stories);

}  // namespace fabula::text
