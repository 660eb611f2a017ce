#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/config_io.hpp"
#include "formats/safetensors.hpp"
#include "formats/token_map.hpp"
#include "graph/parameters.hpp"
#include "models/language_model.hpp"

namespace fabula::test {

inline const std::string kFinalPrefix = "final.";

/// A small model as scripts/make_goldens.py computed it in PyTorch; the files are described there.
class GoldenFixture {
 public:
  explicit GoldenFixture(const std::filesystem::path& folder)
      : config_(load_config(folder)),
        weights_(SafetensorsFile::open(folder / "weights.safetensors")),
        expected_(SafetensorsFile::open(folder / "expected.safetensors")) {
    const std::filesystem::path map = folder / kTokenMapFile;
    if (std::filesystem::exists(map)) head_data_.map = read_token_map(map, config_.model.vocab_size);
  }

  models::LanguageModel model() const { return models::LanguageModel(config_.model, head_data_); }
  const TrainConfig& train() const { return config_.train; }
  std::int64_t batch() const { return train().batch_size; }
  std::int64_t sequence() const { return train().sequence_length; }
  std::int64_t steps() const { return train().steps; }

  const SafetensorsFile& weights() const { return weights_; }
  std::vector<float> weight(const std::string& name) const { return read(weights_, name); }
  std::vector<float> expected(const std::string& name) const { return read(expected_, name); }

  /// Names of the weights that are compared after the last step.
  std::vector<std::string> trained_weights() const {
    std::vector<std::string> names;
    for (const std::string& name : expected_.names())
      if (name.starts_with(kFinalPrefix)) names.push_back(name.substr(kFinalPrefix.size()));
    return names;
  }

  /// Ids or labels of the batch that a step (from 0) takes; a label of -1 comes as the word that counts nowhere.
  std::vector<std::uint32_t> words(const std::string& name, std::int64_t step) const {
    const std::int64_t batches = expected_.info(name).shape.at(0), n = batch() * sequence();
    std::vector<float> values(static_cast<std::size_t>(n));
    expected_.read_f32(name, values, step % batches * n);
    std::vector<std::uint32_t> result;
    for (const float v : values) result.push_back(v < 0 ? 0xFFFFFFFFu : static_cast<std::uint32_t>(v));
    return result;
  }

 private:
  static std::vector<float> read(const SafetensorsFile& file, const std::string& name) {
    std::vector<float> values(static_cast<std::size_t>(file.info(name).elements));
    file.read_f32(name, values);
    return values;
  }

  RunConfig config_;
  heads::HeadData head_data_;
  SafetensorsFile weights_, expected_;
};

}  // namespace fabula::test
