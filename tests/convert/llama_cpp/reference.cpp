// llama_cpp_reference MODEL TEXT OUT: what fabula makes of a text and of a thousand random ones, for compare.mjs.
//   OUT/reference.json  {"vocabulary": V, "ids": [T], "tokens": [[text, [ids]], ...]}
//   OUT/log_probs.f32   [T, V]: log p of the token behind each of the ids
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file_io.hpp"
#include "convert/small_models.hpp"
#include "support/random_text.hpp"

namespace {

using namespace fabula;
namespace fs = std::filesystem;

constexpr std::size_t kPositions = 96;

void write_reference(const fs::path& folder, const std::string& text, const fs::path& out) {
  test::DecodedFolder model(folder);
  const text::Tokenizer& tokenizer = model.folder().tokenizer();
  std::vector<std::uint32_t> ids = tokenizer.encode(text);
  if (const auto start = model.folder().start_id()) ids.insert(ids.begin(), *start);
  const auto most = static_cast<std::size_t>(model.folder().config().model.n_positions - 1);
  ids.resize(std::min({ids.size(), kPositions, most}));
  // llama.cpp takes a text's own U+2581 for a space in vocabularies of SentencePiece's kind.
  const bool pieces = tokenizer.parts().fallback.has_value();
  nlohmann::json tokens = nlohmann::json::array();
  std::mt19937 random(11);
  for (int i = 0; i < 1000; ++i) {
    const std::string sample = test::random_text(random, pieces ? "\u2581" : "");
    tokens.push_back({sample, tokenizer.encode(sample)});
  }
  fs::create_directories(out);
  std::ofstream(out / "reference.json") << nlohmann::json{
      {"vocabulary", model.folder().config().model.vocab_size}, {"ids", ids}, {"tokens", tokens}};
  std::ofstream numbers(out / "log_probs.f32", std::ios::binary);
  for (const std::vector<float>& row : model.log_probs(ids))
    numbers.write(reinterpret_cast<const char*>(row.data()), static_cast<std::streamsize>(row.size() * sizeof(float)));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: llama_cpp_reference MODEL TEXT OUT\n");
    return 2;
  }
  try {
    write_reference(argv[1], read_file(argv[2]), argv[3]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
