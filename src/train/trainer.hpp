#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/terminal.hpp"
#include "formats/metrics.hpp"
#include "graph/runtime.hpp"
#include "train/data_set.hpp"
#include "train/run_folder.hpp"
#include "train/training_plan.hpp"

namespace fabula::train {

enum class Resume {
  kNever,  ///< refuse a folder that holds a run
  kAuto,   ///< continue when there is something to continue
  kForce,  ///< the same, even where the device's kernels differ from those that the run was started with
};

struct TrainOptions {
  Resume resume = Resume::kNever;
  bool overfit_batch = false;            ///< train on the first batch alone: a quick test that a model can learn at all
  std::function<bool()> stop_requested;  ///< asked after every step and during validation; true: save and return
};

struct TrainOutcome {
  bool interrupted = false;
  std::int64_t step = 0, steps = 0;
  std::optional<double> last_loss;   ///< of the last step of this process
  std::optional<double> valid_loss;  ///< of the last validation
};

/// One training run. All arguments must outlive it.
class Trainer {
 public:
  /// Plans, allocates, then loads or initialises; nothing is written before that succeeded.
  Trainer(vk::Device& device, const RunConfig& config, const DataSet& data, RunFolder& folder, TrainOptions options);

  /// Trains to the last step, or until asked to stop. Throws kNumeric, after saving the last good state, for a loss or
  /// gradient norm that is not finite, naming the step.
  TrainOutcome run();

 private:
  struct StepResult {
    double loss = 0, norm = 0;
    double token_correct = 0, group_correct = 0, slot_correct = 0;
  };
  void start_or_resume();
  void check_resumable(const RunState& saved) const;
  StepResult step(std::int64_t number);
  void gradients(std::int64_t number, StepResult& result);
  models::BatchWords words_of(std::uint64_t batch) const;
  void set_step_inputs(std::size_t graph, std::int64_t number, std::int64_t micro);
  [[noreturn]] void stop_on_non_finite(std::int64_t number, const std::string& what);
  [[noreturn]] void stop_after_bad_weights(std::int64_t number, const std::string& what);
  std::string what_is_saved() const;
  bool weights_are_finite();
  bool stop_requested() const { return options_.stop_requested && options_.stop_requested(); }
  void record_step(std::int64_t number, const StepResult& result, double seconds);
  void look_at_model(std::int64_t number, bool again);
  void validate_model(std::int64_t number);
  void show_sample(std::int64_t number);
  void save(std::int64_t number);
  void report();

  vk::Device& device_;
  const RunConfig& config_;
  const DataSet& data_;
  RunFolder& folder_;
  TrainOptions options_;
  models::LanguageModel model_;
  std::int64_t sequence_, tokens_per_step_, steps_;
  text::BatchSource batches_;
  std::optional<text::BatchSource> valid_batches_;
  TrainingPlan plan_;
  std::string lowering_;  ///< RunState::lowering of this device and config
  graph::Runtime runtime_;
  infer::Generator generator_;
  std::optional<MetricsWriter> metrics_;
  ProgressLine progress_;
  models::BatchWords next_words_;  ///< of the next micro-batch, prepared while the device works
  std::int64_t first_step_ = 0;    ///< steps done before this process
  std::int64_t saved_step_ = -1;   ///< of the checkpoint in the folder; -1: there is none
  double recent_seconds_ = 0;      ///< of a step, smoothed, for the ETA
  TrainOutcome outcome_;
  double best_valid_loss_;
};

}  // namespace fabula::train
