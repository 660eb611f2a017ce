#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "graph/runtime.hpp"
#include "text/batches.hpp"
#include "train/reducer.hpp"
#include "train/step_runner.hpp"

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

/// What steps of a kind take, medians.
struct StepTime {
  double seconds = 0;
  std::optional<double> idle_seconds;  ///< of it, without any kernel on the device; absent without timestamps
  double submissions = 0;
};

/// One model's training steps, run by the trainer's own StepRunner.
class StepBench {
 public:
  /// Throws kOutOfMemory with the sizes before anything runs. The config must outlive this. `ranks`: this process is
  /// one of them, and takes its part of each step; null: all of it.
  StepBench(vk::Device& device, const KernelChoices& choices, const RunConfig& config, const heads::HeadData& head = {},
            const text::TokenFile* tokens = nullptr, bool timed = false, train::Reducer* ranks = nullptr);

  std::int64_t tokens() const;  ///< of a step
  const models::LanguageModel& model() const { return model_; }
  const graph::Runtime& runtime() const { return training_.runtime; }
  const train::TrainingGraphs& graphs() const { return training_.graphs; }

  /// Runs `steps` steps behind the warm-up, as a training run does: the device is one step ahead of the host.
  StepTime measure(const std::string& name, int steps);
  /// The next step, alone; for timings of its kernels.
  void step();

 private:
  void log(const std::string& name, const train::StepResult& result) const;

  const RunConfig& config_;
  models::LanguageModel model_;
  train::TrainingRuntime training_;
  BenchBatches batches_;
  train::StepRunner runner_;
  std::optional<train::GradientExchange> exchange_;
  std::int64_t steps_ = 0;  ///< sent so far
};

/// Median seconds of `steps` steps behind the warm-up; `name` is for progress.
double median_seconds(const std::string& name, int steps, const std::function<double(std::int64_t)>& step);

}  // namespace fabula::bench
