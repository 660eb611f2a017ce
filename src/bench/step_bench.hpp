#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "graph/runtime.hpp"
#include "text/batches.hpp"
#include "train/trainer.hpp"

namespace fabula::bench {

/// Steps before the first that counts: pipelines are made and submissions find their size.
inline constexpr int kWarmUpSteps = 2;

/// Batches of a config's shape: of a text, or random ids and labels.
class BenchBatches {
 public:
  /// `tokens` may be null, else it must outlive this and have the config's vocabulary.
  BenchBatches(const RunConfig& config, const text::TokenFile* tokens);
  text::Batch batch(std::int64_t number) const;

 private:
  std::uint32_t vocabulary_;
  std::size_t positions_;
  std::optional<text::BatchSource> source_;
};

/// Fills a model's parameters, those that the runtime has, with weights as good as fresh ones for measuring: as
/// declared, but uniform where a training run draws from a normal distribution, which takes long for large
/// vocabularies.
void upload_weights(graph::Runtime& runtime, const models::LanguageModel& model);

/// One model's training step, as the trainer runs it: the next batch's words are made while the device works.
class StepBench {
 public:
  /// Throws kOutOfMemory with the sizes before anything runs. The config must outlive this.
  StepBench(vk::Device& device, const RunConfig& config, const heads::HeadData& head = {},
            const text::TokenFile* tokens = nullptr, bool timed = false);

  std::int64_t tokens() const { return config_.train.batch_size * train::sequence_length(config_); }
  const models::LanguageModel& model() const { return model_; }
  const graph::Runtime& runtime() const { return runtime_; }
  std::vector<std::size_t> graphs() const { return {plan_.overwrite, plan_.apply}; }

  /// Step `number`, counted from 1; its seconds.
  double step(std::int64_t number);

 private:
  models::BatchWords words(std::int64_t number) const;

  const RunConfig& config_;
  models::LanguageModel model_;
  train::TrainingPlan plan_;
  graph::Runtime runtime_;
  BenchBatches batches_;
  models::BatchWords next_words_;
};

/// Median seconds of `steps` steps behind the warm-up; `name` is for progress.
double median_seconds(const std::string& name, int steps, const std::function<double(std::int64_t)>& step);

}  // namespace fabula::bench
