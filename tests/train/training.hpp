#pragma once
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "formats/config_io.hpp"
#include "temp_dir.hpp"
#include "train/trainer.hpp"

namespace fabula::train {

/// A model of a thousand parameters and 12 steps, with a checkpoint every 4.
inline constexpr const char* kConfig =
    R"({"model_type": "gpt2", "vocab_size": 280, "n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2,
  "embd_pdrop": 0.1, "attn_pdrop": 0, "resid_pdrop": 0, "head": {"kind": "grouped"},
  "train": {"batch_size": 2, "steps": 12, "warmup_steps": 2, "save_every": 4, "eval_every": 6, "eval_batches": 2, "sample_every": 0}})";

class Training : public testing::Test {
 protected:
  static std::unique_ptr<vk::Device> open_device() {
    vk::DeviceOptions options;
    options.cache_dir = "none";
    return vk::Device::open(options);
  }
  std::filesystem::path path(const std::string& run) const { return folder_ / run; }

  TrainOutcome train(vk::Device& device, const std::string& run, TrainOptions options = {},
                     const std::vector<std::string>& overrides = {}) const {
    RunConfig config = parse_config(kConfig, "config", overrides);
    RunFolder folder(path(run));
    const DataSet data = open_data({.data = {}, .valid = {}, .tokenizer = {}, .corpus_seed = 1, .corpus_stories = 40},
                                   config, folder.path());
    return Trainer(device, config, data, folder, std::move(options)).run();
  }
  TrainOutcome resume(const std::string& run, const std::vector<std::string>& overrides = {}) const {
    return train(*open_device(), run, {.resume = Resume::kAuto, .overfit_batch = false, .stop_requested = {}},
                 overrides);
  }
  /// A value of all records of a kind, in order.
  std::vector<double> values(const std::string& run, std::string_view kind, const std::string& name) const {
    std::vector<double> result;
    for (const MetricsRecord& record : read_metrics(path(run) / "metrics.jsonl"))
      if (record.kind == kind) result.push_back(record.values.at(name));
    return result;
  }
  std::vector<double> losses(const std::string& run) const { return values(run, kTrainRecord, "loss"); }

 private:
  test::TempDir folder_;
};

inline std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace fabula::train
