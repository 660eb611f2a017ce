#include "train/step_runner.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "train/schedule.hpp"

namespace fabula::train {
namespace {

constexpr std::size_t kMostParts = 2;  // one runs while the next waits: what Runtime keeps inputs and results for

}  // namespace

StepRunner::StepRunner(graph::Runtime& runtime, const TrainingGraphs& graphs, const models::LanguageModel& model,
                       const RunConfig& config, std::int64_t steps, MakeBatch batch)
    : runtime_(runtime),
      graphs_(graphs),
      model_(model),
      config_(config),
      run_steps_(steps),
      tokens_per_step_(config.tokens_per_step()),
      batch_(std::move(batch)) {
  if (config.train.precision == Precision::kFp16) set_loss_scale({});
}

void StepRunner::set_loss_scale(const LossScale& value) {
  const std::vector<float> words{static_cast<float>(value.scale), static_cast<float>(value.good_steps), 0, 0};
  runtime_.upload(models::kLossScaleState, words);
}

LossScale StepRunner::loss_scale() {
  std::vector<float> words(4);
  runtime_.download(models::kLossScaleState, words);
  return {.scale = words[0], .good_steps = static_cast<std::int64_t>(words[1])};
}

models::BatchWords StepRunner::words_of(std::uint64_t micro_batch) const {
  const text::Batch data = batch_(micro_batch);
  models::BatchWords words = models::batch_words(model_, data.ids, data.labels, heads::LossUse::kGradient);
  ensure(words.counted * config_.train.grad_accumulation == tokens_per_step_, "a training batch counts {} labels of {}",
         words.counted, tokens_per_step_ / config_.train.grad_accumulation);
  return words;
}

void StepRunner::set_part_inputs(std::size_t graph, std::uint64_t micro_batch) {
  if (next_ != micro_batch) next_words_ = words_of(micro_batch);
  models::set_batch(runtime_, graph, next_words_);
  const std::vector<float> scale{1.0f / static_cast<float>(tokens_per_step_), 0, 0, 0};
  runtime_.set_input(graph, "loss_scale", std::span<const float>(scale));
  if (config_.model.embd_dropout == 0 && config_.model.resid_dropout == 0) return;
  const auto seed = static_cast<std::uint64_t>(config_.train.seed);
  const std::vector<std::uint32_t> words{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                                         static_cast<std::uint32_t>(micro_batch),
                                         static_cast<std::uint32_t>(micro_batch >> 32)};
  runtime_.set_input(graph, "seed", std::span<const std::uint32_t>(words));
}

void StepRunner::set_update_inputs(std::int64_t number) {
  const TrainConfig& train = config_.train;
  const std::vector<float> limits{static_cast<float>(train.clip_norm), follows_ ? 1.0f : 0.0f,
                                  static_cast<float>(kLossScaleInterval), 0};
  runtime_.set_input(graphs_.apply, "limits", std::span<const float>(limits));
  const std::array<float, 8> hyper = adamw_hyper(train, learning_rate(train, number, run_steps_), number);
  runtime_.set_input(graphs_.apply, "hyper", std::span<const float>(hyper));
  follows_ = true;
}

void StepRunner::go_on_after(std::int64_t step, std::int64_t micro_batches) {
  done_steps_ = step;
  done_micro_batches_ = micro_batches;
}

void StepRunner::start(std::int64_t number) {
  const std::int64_t accumulation = config_.train.grad_accumulation;
  steps_.push_back({.number = number});
  for (std::int64_t micro = 0; micro < accumulation; ++micro) {
    const auto micro_batch =
        static_cast<std::uint64_t>(done_micro_batches_ + (number - 1 - done_steps_) * accumulation + micro);
    const bool last = micro + 1 == accumulation;
    Part part{.step = number,
              .loss = micro == 0 ? &graphs_.overwrite : &graphs_.accumulate,
              .run = 0,
              .apply_run = 0,
              .sent = {},
              .over = {}};
    if (parts_.size() == kMostParts) collect();
    set_part_inputs(part.loss->index, micro_batch);
    if (last) set_update_inputs(number);
    note_what_is_over();
    part.sent = Clock::now();
    if (last)
      runtime_.submit({part.loss->index, graphs_.apply});
    else
      runtime_.submit({part.loss->index});
    part.run = runtime_.last_run(part.loss->index);
    if (last) part.apply_run = runtime_.last_run(graphs_.apply);
    parts_.push_back(part);
    if (last && number == run_steps_) return;
    next_words_ = words_of(micro_batch + 1);
    next_ = micro_batch + 1;
  }
}

std::optional<double> StepRunner::idle_before(const Part& part) {
  const auto span = runtime_.kernel_span(part.loss->index, part.run);
  const auto last = part.apply_run > 0 ? runtime_.kernel_span(graphs_.apply, part.apply_run) : span;
  std::optional<double> idle;
  if (span && last_kernel_) idle = std::max(0.0, span->begin - *last_kernel_);
  last_kernel_ = last ? std::optional(last->end) : std::nullopt;
  return idle;
}

void StepRunner::note_what_is_over() {
  for (Part& part : parts_)
    if (!part.over && runtime_.is_over(part.loss->index, part.run)) part.over = Clock::now();
}

void StepRunner::collect() {
  const Part part = parts_.front();
  StepResult& result = steps_[static_cast<std::size_t>(part.step - steps_.front().number)];
  const auto sum_of = [&](graph::Value value) {
    return value ? static_cast<double>(runtime_.read(part.loss->index, value, part.run).front()) : 0.0;
  };
  result.loss += sum_of(part.loss->values.loss);
  result.token_correct += sum_of(part.loss->values.token_correct);
  result.group_correct += sum_of(part.loss->values.group_correct);
  result.slot_correct += sum_of(part.loss->values.slot_correct);
  if (part.apply_run > 0) {
    const std::vector<float> clip = runtime_.read(graphs_.apply, graphs_.clip, part.apply_run);
    result.norm = clip[1];
    result.loss_scale = clip[2];
    result.loss /= clip[2];
    result.outcome = static_cast<StepOutcome>(static_cast<int>(clip[3]));
  }
  if (const auto idle = idle_before(part)) result.idle_seconds = result.idle_seconds.value_or(0) + *idle;
  const Clock::time_point over = part.over.value_or(Clock::now());
  result.seconds += std::chrono::duration<double>(over - std::max(part.sent, last_over_)).count();
  last_over_ = over;
  parts_.pop_front();
}

StepResult StepRunner::finish() {
  ensure(!steps_.empty(), "no step is under way");
  while (!parts_.empty() && parts_.front().step == steps_.front().number) collect();
  const StepResult result = steps_.front();
  steps_.pop_front();
  return result;
}

}  // namespace fabula::train
