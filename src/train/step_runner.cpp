#include "train/step_runner.hpp"

#include <algorithm>
#include <array>

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
      own_count_(config.train.grad_accumulation),
      tree_(gradient_tree(own_count_)),
      batch_(std::move(batch)) {
  if (config.train.precision == Precision::kFp16) set_loss_scale({});
}

void StepRunner::share(GradientExchange& exchange, std::function<bool()> wants_stop) {
  exchange_ = &exchange;
  wants_stop_ = std::move(wants_stop);
  own_count_ = config_.train.grad_accumulation / exchange.reducer().size();
  first_own_ = exchange.reducer().rank() * own_count_;
  tree_ = gradient_tree(own_count_);
  own_sums_.resize(static_cast<std::size_t>(own_count_));
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

std::vector<std::size_t> StepRunner::graphs_for(const TreeStep& step, std::size_t gradients) {
  std::vector<std::size_t> graphs;
  const auto held = [&](std::int64_t place) { return graphs_.held.at(static_cast<std::size_t>(place)); };
  if (step.hold) graphs.push_back(held(held_++).hold);
  graphs.push_back(gradients);
  for (std::int64_t i = 0; i < step.add; ++i) graphs.push_back(held(--held_).add);
  return graphs;
}

void StepRunner::start(std::int64_t number) {
  steps_.push_back({.number = number});
  for (std::int64_t micro = 0; micro < own_count_; ++micro) {
    const std::int64_t steps_ahead = number - 1 - done_steps_;
    const auto micro_batch = static_cast<std::uint64_t>(
        done_micro_batches_ + steps_ahead * config_.train.grad_accumulation + first_own_ + micro);
    const bool last = micro + 1 == own_count_;
    const TreeStep& tree = tree_[static_cast<std::size_t>(micro)];
    Part part{.step = number,
              .micro = micro,
              .loss = tree.overwrite ? &graphs_.overwrite : &graphs_.accumulate,
              .run = 0,
              .apply_run = 0,
              .sent = {},
              .over = {}};
    if (parts_.size() == kMostParts) collect();
    set_part_inputs(part.loss->index, micro_batch);
    if (last) set_update_inputs(number);
    note_what_is_over();
    part.sent = Clock::now();
    std::vector<std::size_t> graphs = graphs_for(tree, part.loss->index);
    if (last && exchange_ == nullptr) graphs.push_back(graphs_.apply);
    runtime_.submit(graphs);
    part.run = runtime_.last_run(part.loss->index);
    if (last && exchange_ == nullptr) part.apply_run = runtime_.last_run(graphs_.apply);
    parts_.push_back(part);
    const bool ends = last && number == run_steps_;
    if (!ends) {
      next_ = last ? micro_batch + 1 + static_cast<std::uint64_t>(config_.train.grad_accumulation - own_count_)
                   : micro_batch + 1;
      next_words_ = words_of(*next_);
    }
    if (last && exchange_ != nullptr) sum_over_ranks(parts_.back());
  }
}

// Every micro-batch's numbers have a place in one list, zero on all ranks but its own: the sum over ranks is the list
// of all, and adding it up is the same on every rank and in every world. One more number counts the wishes to stop.
void StepRunner::sum_over_ranks(Part& part) {
  constexpr std::size_t kNumbers = 4;
  Reducer& reducer = exchange_->reducer();
  const double waited = reducer.waited_seconds();
  exchange_->start();
  while (parts_.size() > 1) collect();
  own_sums_.back() = sums_of(part);
  std::vector<float> all(static_cast<std::size_t>(config_.train.grad_accumulation) * kNumbers + 1);
  for (std::size_t m = 0; m < own_sums_.size(); ++m) {
    const Sums& sums = own_sums_[m];
    const std::array<float, kNumbers> numbers{sums.loss, sums.token_correct, sums.group_correct, sums.slot_correct};
    std::copy(numbers.begin(), numbers.end(),
              all.begin() + (first_own_ + static_cast<std::int64_t>(m)) * static_cast<std::int64_t>(kNumbers));
  }
  all.back() = wants_stop_() ? 1.0f : 0.0f;
  exchange_->finish(all);
  stop_agreed_ = all.back() > 0;
  StepResult& result = steps_.back();
  for (std::size_t i = 0; i + 1 < all.size(); i += kNumbers)
    add_to(result, {all[i], all[i + 1], all[i + 2], all[i + 3]});
  result.peer_seconds = reducer.waited_seconds() - waited;
  runtime_.submit({graphs_.apply});
  part.apply_run = runtime_.last_run(graphs_.apply);
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

void StepRunner::add_to(StepResult& result, const Sums& sums) {
  result.loss += static_cast<double>(sums.loss);
  result.token_correct += static_cast<double>(sums.token_correct);
  result.group_correct += static_cast<double>(sums.group_correct);
  result.slot_correct += static_cast<double>(sums.slot_correct);
}

StepRunner::Sums StepRunner::sums_of(const Part& part) {
  const auto number = [&](graph::Value value) {
    return value ? runtime_.read(part.loss->index, value, part.run).front() : 0.0f;
  };
  const models::LossValues& values = part.loss->values;
  return {number(values.loss), number(values.token_correct), number(values.group_correct), number(values.slot_correct)};
}

void StepRunner::collect() {
  const Part part = parts_.front();
  StepResult& result = steps_[static_cast<std::size_t>(part.step - steps_.front().number)];
  if (exchange_ == nullptr)
    add_to(result, sums_of(part));
  else if (part.apply_run == 0)
    own_sums_[static_cast<std::size_t>(part.micro)] = sums_of(part);
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
