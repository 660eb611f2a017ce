#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <optional>

#include "formats/run_config.hpp"
#include "graph/runtime.hpp"
#include "text/batches.hpp"
#include "train/apply_graph.hpp"
#include "train/gradient_exchange.hpp"
#include "train/gradient_tree.hpp"
#include "train/training_plan.hpp"

namespace fabula::train {

/// What the host learns of an optimizer step once the device has done it.
struct StepResult {
  std::int64_t number = 0;
  double loss = 0, norm = 0;
  double token_correct = 0, group_correct = 0, slot_correct = 0;
  StepOutcome outcome = StepOutcome::kApplied;
  double loss_scale = 1;  ///< that it was computed with; loss and norm are without it
  double seconds = 0;     ///< since the step before was over, or since this one was sent when the device was idle
  /// Seconds without a kernel between the step before and this one, by the device's clock; with RuntimeOptions::spans.
  std::optional<double> idle_seconds = {};
  double peer_seconds = 0;  ///< of them waiting for sums over ranks
};

/// Runs optimizer steps (gradients of every micro-batch, then the update) so that the device always has work: while it
/// computes a step, the host sends the next one and prepares the batch after that; results come one step later.
class StepRunner {
 public:
  using MakeBatch = std::function<text::Batch(std::uint64_t micro_batch)>;  ///< micro-batches count from 0
  /// `steps` is the length of the whole run, for the learning rate. All but `batch` must outlive this.
  StepRunner(graph::Runtime& runtime, const TrainingGraphs& graphs, const models::LanguageModel& model,
             const RunConfig& config, std::int64_t steps, MakeBatch batch);

  /// Trains as one of several ranks: each takes its part of a step's micro-batches, in the order of the ranks. What any
  /// of them answers to `wants_stop` as it starts a step, all know behind that start(). To be called before it.
  void share(GradientExchange& exchange, std::function<bool()> wants_stop);
  /// Whether a rank wanted to stop at the last start().
  bool stop_agreed() const { return stop_agreed_; }

  /// The loss scale to go on with, and the one that the steps so far have led to; for fp16 alone. Both wait.
  void set_loss_scale(const LossScale& value);
  LossScale loss_scale();

  /// Where a run goes on: the next step to be sent is `step` + 1, and its first micro-batch has the number
  /// `micro_batches`. Without it a run starts at 0 of both.
  void go_on_after(std::int64_t step, std::int64_t micro_batches);

  /// Sends step `number`, counted from 1; steps are sent in order. Waits only while more than one micro-batch before it
  /// is still to be computed.
  void start(std::int64_t number);
  /// What was prepared of the next batch is prepared again: the model's token map is another.
  void forget_prepared() { next_.reset(); }
  /// Steps sent whose result has not been handed out.
  std::size_t under_way() const { return steps_.size(); }
  /// The result of the oldest of them; waits for it.
  StepResult finish();

 private:
  using Clock = std::chrono::steady_clock;
  /// A micro-batch that the device has been given, with the update behind it when it is a step's last.
  struct Part {
    std::int64_t step, micro;  ///< micro-batches of a step count from 0
    const models::PlannedLoss* loss;
    std::uint64_t run, apply_run;  ///< of `loss` and of the update; 0: no update
    Clock::time_point sent;
    std::optional<Clock::time_point> over;  ///< seen to be; some software drivers compute within the submission
  };

  /// What the host adds up over a step's micro-batches.
  struct Sums {
    float loss = 0, token_correct = 0, group_correct = 0, slot_correct = 0;
  };
  static void add_to(StepResult& result, const Sums& sums);
  Sums sums_of(const Part& part);
  void collect();  ///< the oldest part, into its step
  /// The runs of a micro-batch, without the update.
  std::vector<std::size_t> graphs_for(const TreeStep& step, std::size_t gradients);
  void sum_over_ranks(Part& part);
  void note_what_is_over();
  models::BatchWords words_of(std::uint64_t micro_batch) const;
  void set_part_inputs(std::size_t graph, std::uint64_t micro_batch);
  void set_update_inputs(std::int64_t number);
  std::optional<double> idle_before(const Part& part);

  graph::Runtime& runtime_;
  const TrainingGraphs& graphs_;
  const models::LanguageModel& model_;
  const RunConfig& config_;
  std::int64_t run_steps_, tokens_per_step_;
  std::int64_t own_count_, first_own_ = 0;  ///< micro-batches of a step that are this rank's
  std::vector<TreeStep> tree_;              ///< by own micro-batch
  std::int64_t held_ = 0;                   ///< sums on the stack
  GradientExchange* exchange_ = nullptr;
  std::function<bool()> wants_stop_;
  bool stop_agreed_ = false;
  std::vector<Sums> own_sums_;                            ///< by own micro-batch of the step, with an exchange
  std::int64_t done_steps_ = 0, done_micro_batches_ = 0;  ///< where the run goes on
  MakeBatch batch_;
  models::BatchWords next_words_;  ///< of micro-batch next_; prepared while the device works
  std::optional<std::uint64_t> next_;
  std::deque<Part> parts_;  ///< at most two
  std::deque<StepResult> steps_;
  bool follows_ = false;  ///< a step was sent before
  Clock::time_point last_over_{};
  std::optional<double> last_kernel_;  ///< when the last collected part's kernels were over
};

}  // namespace fabula::train
