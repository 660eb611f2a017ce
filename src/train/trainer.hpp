#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "graph/runtime.hpp"
#include "infer/generator.hpp"
#include "train/checkpoint_keeper.hpp"
#include "train/data_position.hpp"
#include "train/data_set.hpp"
#include "train/gradient_exchange.hpp"
#include "train/rank_times.hpp"
#include "train/rise_watch.hpp"
#include "train/run_folder.hpp"
#include "train/run_views.hpp"
#include "train/step_runner.hpp"
#include "train/training_plan.hpp"

namespace fabula::train {

enum class Resume {
  kNever,  ///< refuse a folder that holds a run
  kAuto,   ///< continue when there is something to continue
  kForce,  ///< the same, even where the device's kernels differ from those that the run was started with
};

struct TrainOptions {
  Resume resume = Resume::kNever;
  KernelChoices choices = {};            ///< what was measured as the fastest on the device, for a run that begins
  const StartFrom* from = nullptr;       ///< where a run that begins has its weights from; null: fresh ones
  bool overfit_batch = false;            ///< train on the first batch alone: a quick test that a model can learn at all
  std::function<bool()> stop_requested;  ///< asked after sending a step and in validation; true: save and return
  Reducer* reducer = nullptr;            ///< this process is one of several ranks; null: it trains alone
};

struct TrainOutcome {
  bool interrupted = false;
  std::int64_t step = 0, steps = 0;
  std::optional<double> last_loss;   ///< of the last step of this process
  std::optional<double> valid_loss;  ///< of the last validation
};

/// One training run. All arguments must outlive it. As one of several ranks (TrainOptions::reducer) it takes its part
/// of every step's micro-batches; rank 0 alone writes the folder, looks at the model and says what happens, the folders
/// of the others are RunFolder::OfAnother. What stops one rank stops all.
class Trainer {
 public:
  /// Plans, allocates, then loads or initialises; nothing is written before that succeeded.
  Trainer(vk::Device& device, const RunConfig& config, const DataSet& data, RunFolder& folder, TrainOptions options);

  /// Trains to the last step, or until asked to stop. The device works one step ahead of what is recorded, except where
  /// the model is looked at or saved. Throws kNumeric for a loss or gradient norm that is not finite, naming the step:
  /// the folder's checkpoint is then the last one from before the loss rose, and a resumed run goes on from it.
  TrainOutcome run();

 private:
  TrainOutcome run_steps();
  void join_ranks();
  bool leads() const { return options_.reducer == nullptr || options_.reducer->leads(); }
  void lead(const std::function<void()>& work);
  bool any_rank(bool value);
  void compare_weights(std::int64_t number);
  void save_files(std::int64_t number);
  void start_or_resume();
  void make_pipelines();
  void check_resumable(const RunState& saved, const RunConfig& old) const;
  void resume_loss_scale(const RunState& saved);
  text::Batch batch(std::uint64_t number) const;
  void finish_steps(std::size_t left_under_way);
  void note_skipped(const StepResult& result);
  [[noreturn]] void stop_on_non_finite(std::int64_t number, const std::string& what);
  [[noreturn]] void stop_as_diverged(std::int64_t number, const std::string& what);
  void say_if_risen();
  bool stop_requested() const { return options_.stop_requested && options_.stop_requested(); }
  void record_step(const StepResult& result);
  bool is_due(std::int64_t every, std::int64_t number) const {
    return every > 0 && (number % every == 0 || number == steps_);
  }
  bool remap_is_due(std::int64_t number) const;
  void remap_model(std::int64_t number);
  bool look_at_model(std::int64_t number, bool again);
  bool validate_model(std::int64_t number);
  bool show_sample(std::int64_t number);
  void save(std::int64_t number);
  void checkpoint(std::int64_t number);
  RunSummary summary() const;

  vk::Device& device_;
  const RunConfig& config_;
  const DataSet& data_;
  RunFolder& folder_;
  TrainOptions options_;
  models::LanguageModel model_;
  std::int64_t sequence_, tokens_per_step_;
  text::BatchSource batches_;
  DataPosition start_;  ///< before the first step of this process
  std::int64_t steps_;
  std::optional<text::BatchSource> valid_batches_;
  graph::Target target_;  ///< the device, with the kernels of this run
  TrainingRuntime training_;
  std::string lowering_;     ///< RunState::lowering of this device and config
  graph::Runtime& runtime_;  ///< of training_, as the next
  const TrainingGraphs& graphs_;
  StepRunner step_runner_;
  std::optional<GradientExchange> exchange_;  ///< with a reducer, as the next
  std::optional<RankTimes> rank_times_;
  std::optional<infer::Session> session_;     ///< of samples, as the next
  std::optional<infer::Generator> generator_;
  RunViews views_;
  RiseWatch rise_;
  CheckpointKeeper keeper_;
  std::vector<std::uint64_t> counts_;  ///< of the training tokens, once a map is to be made again
  std::string from_;                   ///< RunState::texts[kStartKey]; empty: fresh weights
  bool risen_said_ = false;
  double recent_seconds_ = 0;  ///< of a step, smoothed, for the ETA
  TrainOutcome outcome_;
  double best_valid_loss_;
};

}  // namespace fabula::train
