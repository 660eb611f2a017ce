#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "text/tokenizer_files.hpp"

namespace fabula::test {

/// A file of tests/text/fixtures, which scripts/make_tokenizer_fixtures.py writes.
inline nlohmann::json read_fixture(const std::string& name) {
  std::ifstream stream(std::string(FABULA_SOURCE_DIR) + "/tests/text/fixtures/" + name);
  return nlohmann::json::parse(stream);
}

inline std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

inline std::string joined_merges(const nlohmann::json& merges) {
  std::string text = "#version: 0.2\n";
  for (const auto& merge : merges) text += merge.get<std::string>() + "\n";
  return text;
}

/// The fixtures' small vocabulary, imported as GPT-2's files are.
inline text::Tokenizer small_tokenizer() {
  const nlohmann::json fixture = read_fixture("small_bpe.json");
  return text::parse_gpt2(fixture.at("vocab").dump(), "vocab.json", joined_merges(fixture.at("merges")), "merges.txt");
}

/// The folder of the big data files, or an empty path: then the test is to skip.
inline std::filesystem::path data_folder() {
  const char* const folder = std::getenv("FABULA_DATA");
  return folder != nullptr && std::filesystem::exists(std::filesystem::path(folder) / "tokenizers") ? folder : "";
}

}  // namespace fabula::test

#define FABULA_NEEDS_DATA(folder)                                   \
  const std::filesystem::path folder = fabula::test::data_folder(); \
  if (folder.empty()) GTEST_SKIP() << "FABULA_DATA names no folder with tokenizers/"
