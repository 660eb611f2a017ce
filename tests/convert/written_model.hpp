#pragma once
#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_io.hpp"
#include "base/hash.hpp"
#include "base/philox.hpp"
#include "formats/config_io.hpp"
#include "formats/model_tensors.hpp"
#include "infer/write_folder.hpp"
#include "models/language_model.hpp"
#include "text/tokenizer.hpp"

// Small models with random weights, written as folders.
namespace fabula::test {

/// The 256 bytes and <|endoftext|>: 257 tokens.
inline text::Tokenizer byte_tokenizer() {
  text::TokenizerParts parts;
  for (int byte = 0; byte < 256; ++byte) parts.tokens.emplace_back(1, static_cast<char>(byte));
  parts.tokens.emplace_back(text::kEndOfText);
  parts.added = {{256, std::string(text::kEndOfText)}};
  parts.patterns = {"[\\s\\S]+"};
  return text::Tokenizer(std::move(parts));
}

inline TensorSource random_tensor(const graph::ParameterSpec& spec, TensorDtype dtype) {
  const auto values = std::make_shared<std::vector<float>>(static_cast<std::size_t>(spec.shape.count()));
  Philox random(3, fnv1a(spec.name));
  for (float& value : *values) value = static_cast<float>(0.3 * random.normal());
  TensorSource source{spec.name, spec.file_shape(), [values](std::int64_t first, std::span<float> out) {
                        std::copy_n(values->begin() + first, out.size(), out.begin());
                      }};
  source.dtype = dtype;
  return source;
}

/// Writes a model of this config (JSON) with random weights.
inline void write_model(const std::filesystem::path& folder, const std::string& config_text,
                        const text::Tokenizer& tokenizer, std::optional<TokenMap> map = {},
                        TensorDtype dtype = TensorDtype::kF32) {
  RunConfig config = parse_config(config_text, "the test", {}, ConfigNotes::kSilent);
  const models::LanguageModel model(config.model, {.map = std::move(map), .counts = {}});
  std::vector<TensorSource> weights;
  for (const graph::ParameterSpec& spec : model.parameters()) weights.push_back(random_tensor(spec, dtype));
  FolderUpdate update(folder);
  infer::write_model_folder(update,
                            {.config = config, .model = model, .tokenizer = tokenizer, .weights = std::move(weights)});
  update.commit();
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(read_file(path));
}

inline std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

/// Are the tensors of two folders the same, bit for bit, types and shapes included?
inline void expect_same_tensors(const std::filesystem::path& left, const std::filesystem::path& right) {
  const ModelTensors one = ModelTensors::open(left), other = ModelTensors::open(right);
  ASSERT_EQ(one.names(), other.names());
  for (const std::string& name : one.names()) {
    EXPECT_EQ(one.info(name).dtype, other.info(name).dtype) << name;
    EXPECT_EQ(one.info(name).shape, other.info(name).shape) << name;
    const auto a = one.raw(name), b = other.raw(name);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << name;
  }
}

}  // namespace fabula::test
