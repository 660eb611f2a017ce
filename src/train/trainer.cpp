#include "train/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "formats/config_io.hpp"
#include "formats/tune_file.hpp"
#include "infer/rows_without_token.hpp"
#include "models/weights.hpp"
#include "train/fit.hpp"
#include "train/ranks.hpp"
#include "train/schedule.hpp"
#include "train/start_from.hpp"

namespace fabula::train {
namespace {

constexpr const char* kChoicesKey = "kernel_choices";                                          // in RunState::texts
constexpr const char *kLossScaleKey = "loss_scale", *kGoodStepsKey = "loss_scale_good_steps";  // in RunState::numbers

std::string duration_text(double seconds) {
  const auto s = static_cast<std::int64_t>(seconds + 0.5);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

/// The config of one rank's part of a step.
TrainConfig part_of_rank(TrainConfig config, const Reducer* reducer) {
  if (reducer != nullptr) config.grad_accumulation = own_micro_batches(config, reducer->size());
  return config;
}

text::BatchSource open_batches(const DataSet& data, const RunConfig& config) {
  return {*data.train, static_cast<std::uint32_t>(config.train.batch_size),
          static_cast<std::uint32_t>(config.sequence_length()), static_cast<std::uint64_t>(config.train.seed)};
}

std::int64_t count_steps(const RunConfig& config, const text::BatchSource& batches, const DataPosition& start) {
  const std::int64_t T = config.sequence_length();
  const std::int64_t steps = total_steps(config, batches.windows() * static_cast<std::uint64_t>(T),
                                         {.steps = start.steps, .tokens = start.tokens});
  check_remap_steps(config, steps, "config");
  return steps;
}

DataPosition find_start(const RunFolder& folder, Resume resume, const RunConfig& config, const DataSet& data) {
  if (resume == Resume::kNever || !folder.has_state()) return {};
  return saved_position(folder.read_state(), load_config(folder.path()), config, *data.train);
}

/// The device as a run sees it: one that goes on keeps the kernels that it was started with, whatever was measured
/// since.
graph::Target target_for(const vk::Device& device, const RunFolder& folder, const TrainOptions& options) {
  if (options.resume != Resume::kAuto || !folder.has_state()) return {device.profile(), options.choices};
  const RunState saved = folder.read_state();
  const auto choices = saved.texts.find(kChoicesKey);
  if (choices == saved.texts.end()) return device.profile();
  return {device.profile(), parse_kernel_choices(choices->second, folder.file("state.json").string())};
}

/// A target of kernels that were checked meanwhile: those found wrong gave way to others.
const graph::Target& knowing_faults(graph::Target& target, const vk::Device& device) {
  target.profile.faults = device.profile().faults;
  return target;
}

/// The same before anything was found of a driver.
graph::Target without_distrust(graph::Target target) {
  std::erase_if(target.profile.faults, [](const auto& fault) { return vk::is_distrusted(fault.second); });
  return target;
}

std::optional<std::uint32_t> start_id(const DataSet& data) {
  return data.tokenizer->has_eot() ? std::optional(data.tokenizer->eot_id()) : std::nullopt;
}

}  // namespace

Trainer::Trainer(vk::Device& device, const RunConfig& config, const DataSet& data, RunFolder& folder,
                 TrainOptions options)
    : device_(device),
      config_(config),
      data_(data),
      folder_(folder),
      options_(std::move(options)),
      model_(config.model, data.head, config.train.precision),
      sequence_(config.sequence_length()),
      tokens_per_step_(config.tokens_per_step()),
      batches_(open_batches(data, config)),
      start_(find_start(folder, options_.resume, config, data)),
      steps_(count_steps(config, batches_, start_)),
      target_(target_for(device, folder, options_)),
      training_(device, plan_to_fit(device.info(), target_, model_, part_of_rank(config.train, options_.reducer))),
      lowering_(lowering_text(knowing_faults(target_, device), model_, config.train)),
      runtime_(training_.runtime),
      graphs_(training_.graphs),
      step_runner_(runtime_, graphs_, model_, config, steps_, [this](std::uint64_t number) { return batch(number); }),
      views_(folder.path(), [](const std::string& message) { log_warn(message); }),
      keeper_(folder),
      best_valid_loss_(std::numeric_limits<double>::infinity()) {
  if (data.valid && config.train.eval_every > 0)
    valid_batches_.emplace(*data.valid, static_cast<std::uint32_t>(config.train.batch_size),
                           static_cast<std::uint32_t>(sequence_), 0, text::BatchSource::Order::kSequential);
  if (graphs_.session) {
    const std::int64_t V = model_.head().vocabulary();
    session_.emplace(runtime_, *graphs_.session, model_, infer::rows_without_token(*data.tokenizer, V));
    generator_.emplace(*session_, *data.tokenizer, V, start_id(data));
    generator_->encode_prompt(config.train.sample_prompt);  // too long a prompt shows now, not at a late step
  }
  if (options_.reducer != nullptr) join_ranks();
  start_or_resume();
  make_pipelines();
}

// All that the run will compute is compiled together, on every thread, before the first step is timed.
void Trainer::make_pipelines() {
  std::vector<std::size_t> graphs(runtime_.workload().graphs().size());
  std::iota(graphs.begin(), graphs.end(), std::size_t{0});
  runtime_.make_pipelines(graphs);
}

text::Batch Trainer::batch(std::uint64_t number) const {
  if (options_.overfit_batch) return batches_.batch(0);
  const auto ahead = static_cast<std::int64_t>(number) - start_.batches;
  return batches_.batch_from(static_cast<std::uint64_t>(start_.windows + ahead * config_.train.batch_size));
}

void Trainer::check_resumable(const RunState& saved, const RunConfig& old) const {
  RunConfig old_model = old, old_numbers = old;
  old_model.train = config_.train;
  old_numbers.train.recompute = config_.train.recompute;
  old_model.model.head.remap = config_.model.head.remap;
  // Configs of runs did not always state these ids; the tokenizer's, which data and samples go by, are compared
  // elsewhere.
  for (RunConfig* const config : {&old_model, &old_numbers}) {
    config->model.bos_token_id = config_.model.bos_token_id;
    config->model.eos_token_ids = config_.model.eos_token_ids;
  }
  if (config_json(old_model) != config_json(config_))
    fail(ErrorCode::kInvalidArgument,
         "{0} holds a model of another shape than the config ({1}); take its config.json, or start another folder "
         "from what fits: --from {0} --out OTHER",
         folder_.path().string(), config_differences(old_model, config_));
  if (config_json(old_numbers) != config_json(config_))
    warn(
        "the training settings differ from those that the run was started with ({}); losses may differ from an "
        "uninterrupted run",
        config_differences(old_numbers, config_));
  if (options_.resume == Resume::kForce) return;
  // Kernels depend on shapes and types too: planned with the old settings, only the device and the program can make a
  // difference.
  const models::LanguageModel model(config_.model, data_.head, old.train.precision);
  if (saved.lowering == lowering_text(target_, model, old.train)) {
    if (saved.lowering != lowering_text({device_.profile(), options_.choices}, model, old.train))
      info(
          "the run keeps the kernels that it was started with, not those that fabula tune found since; --resume force "
          "takes these");
    return;
  }
  if (saved.lowering == lowering_text(without_distrust(target_), model, old.train))
    fail(ErrorCode::kInvalidArgument,
         "the run was started with kernels that this driver was found to compute wrong, or to crash at, since ({} says "
         "which): it cannot continue bit-identically. --resume force continues with those that took their place",
         device_.notes().path().string());
  const std::string then = saved.device + ", " + saved.driver;
  const std::string now = device_.profile().name + ", " + device_.info().driver;
  fail(ErrorCode::kInvalidArgument,
       "the run was started with other kernels ({}): it cannot continue bit-identically. --resume force continues all "
       "the same",
       then == now ? "of another version or build of fabula" : "on " + then + "; now " + now);
}

void Trainer::start_or_resume() {
  lead([this] { folder_.check_usable(options_.resume != Resume::kNever); });
  if (!folder_.has_state()) {
    models::initialise_weights(runtime_, model_, static_cast<std::uint64_t>(config_.train.seed));
    if (options_.from != nullptr) {
      options_.from->load(runtime_, model_, *data_.tokenizer);
      from_ = options_.from->description();
    }
    lead([this] { views_.open(-1); });
    return;
  }
  const RunState saved = folder_.read_state();
  const RunConfig old = load_config(folder_.path());
  check_resumable(saved, old);
  const std::int64_t next = saved.step + 1;
  folder_.load(runtime_, model_, saved, adamw_hyper(config_.train, learning_rate(config_.train, next, steps_), next));
  resume_loss_scale(saved);
  step_runner_.go_on_after(start_.steps, start_.batches);
  if (const auto from = saved.texts.find(kStartKey); from != saved.texts.end()) from_ = from->second;
  best_valid_loss_ = saved.best_val_loss;
  rise_.restore(saved.measures);
  if (leads())
    keeper_.resume(saved.step, rise_.risen());
  else
    keeper_.after_save(saved.step, rise_.risen());
  // Losses of sequences of another length lie elsewhere.
  if (!rise_.risen() && old.sequence_length() != sequence_) rise_ = {};
  lead([&] { views_.open(saved.step); });
  if (leads()) info("resuming after step {} of {}", saved.step, steps_);
}

void Trainer::resume_loss_scale(const RunState& saved) {
  const auto scale = saved.numbers.find(kLossScaleKey), good_steps = saved.numbers.find(kGoodStepsKey);
  if (config_.train.precision != Precision::kFp16 || scale == saved.numbers.end() || good_steps == saved.numbers.end())
    return;
  if (scale->second < 1 || scale->second > kMostLossScale || good_steps->second < 0)
    fail(ErrorCode::kFormat, "{}: {} {} after {} good steps is no loss scale; the smallest is 1, the largest {}",
         folder_.file("state.json").string(), kLossScaleKey, scale->second, good_steps->second, kMostLossScale);
  step_runner_.set_loss_scale({.scale = static_cast<double>(scale->second), .good_steps = good_steps->second});
}

void Trainer::finish_steps(std::size_t left_under_way) {
  while (step_runner_.under_way() > left_under_way) {
    const StepResult result = step_runner_.finish();
    if (result.outcome == StepOutcome::kSkipped) {
      outcome_.step = result.number;
      note_skipped(result);
      continue;
    }
    if (!std::isfinite(result.loss)) stop_on_non_finite(result.number, "loss");
    if (result.outcome == StepOutcome::kHalted) stop_on_non_finite(result.number, "gradient norm");
    outcome_.step = result.number;
    outcome_.last_loss = result.loss;
    record_step(result);
  }
}

void Trainer::note_skipped(const StepResult& result) {
  if (!leads()) return;
  info("step {}: fp16 overflowed at loss scale {:.0f}; the step is left out, the scale is {:.0f} now", result.number,
       result.loss_scale, result.loss_scale / 2);
}

void Trainer::record_step(const StepResult& result) {
  const std::int64_t number = result.number;
  const double seconds = result.seconds;
  MetricsRecord record{std::string(kTrainRecord), number, {}, {}};
  const auto positions = static_cast<double>(tokens_per_step_);
  record.values = {{"loss", result.loss},
                   {"learning_rate", learning_rate(config_.train, number, steps_)},
                   {"grad_norm", result.norm},
                   {"tokens_per_second", positions / seconds},
                   {"tokens_seen", static_cast<double>(start_.after(number - start_.steps, config_).tokens)}};
  if (exchange_) record.values["peer_seconds"] = result.peer_seconds;
  rise_.observe(result.loss, result.norm);
  say_if_risen();
  keeper_.observe(number, rise_.risen());
  const bool first = number == start_.steps + 1;  // its time is that of the driver's compiler, and tells nothing
  const bool due = config_.train.log_every > 0 && (number % config_.train.log_every == 0 || first || number == steps_);
  if (rank_times_) {
    rank_times_->add(seconds, result.peer_seconds, positions / options_.reducer->size());
    if (due) rank_times_->tell(record.values);
  }
  if (!leads()) return;
  std::string accuracy;
  if (graphs_.overwrite.values.group_correct) {
    record.values["group_accuracy"] = result.group_correct / positions;
    record.values["token_accuracy"] = result.slot_correct / positions;
    accuracy = fmt::format("  group {:.0f} %  in group {:.0f} %", 100 * result.group_correct / positions,
                           100 * result.slot_correct / positions);
  } else if (graphs_.overwrite.values.token_correct) {
    record.values["token_accuracy"] = result.token_correct / positions;
    accuracy = fmt::format("  token {:.0f} %", 100 * result.token_correct / positions);
  }
  views_.append(record);
  if (!first) recent_seconds_ = recent_seconds_ == 0 ? seconds : 0.9 * recent_seconds_ + 0.1 * seconds;
  if (!progress_redraws() && !due) return;
  log_progress(
      fmt::format("step {}/{}  loss {:.4f}  norm {:.2f}  lr {:.2e}{}  {:.0f} ms  {:.0f} tokens/s  {:.0f} MiB{}", number,
                  steps_, result.loss, result.norm, record.values["learning_rate"], accuracy, 1e3 * seconds,
                  positions / seconds, mib(device_.peak_allocated()),
                  first ? "" : "  ETA " + duration_text(recent_seconds_ * static_cast<double>(steps_ - number))));
}

void Trainer::save(std::int64_t number) {
  compare_weights(number);
  lead([&] { save_files(number); });
  keeper_.after_save(number, rise_.risen());
}

void Trainer::save_files(std::int64_t number) {
  views_.sync();
  keeper_.before_save(number, rise_.risen());
  RunState state;
  start_.after(number - start_.steps, config_).store(state);
  state.seed = config_.train.seed;
  state.best_val_loss = best_valid_loss_;
  state.lowering = lowering_;
  state.device = device_.profile().name;  // with the limits, where they are lowered
  state.driver = device_.info().driver;
  state.texts["data"] = data_.description;
  if (!from_.empty()) state.texts[kStartKey] = from_;
  if (config_.train.precision == Precision::kFp16) {
    const LossScale scale = step_runner_.loss_scale();
    state.numbers[kLossScaleKey] = static_cast<std::int64_t>(scale.scale);
    state.numbers[kGoodStepsKey] = scale.good_steps;
  }
  // A rank's own graphs may be fewer than those of a step in one process.
  const bool fewer = options_.reducer != nullptr && !target_.choices.empty();
  if (const auto choices = fewer ? plan_training(target_, model_, config_.train).workload.kernel_choices()
                                 : runtime_.workload().kernel_choices();
      !choices.empty())
    state.texts[kChoicesKey] = kernel_choices_json(choices);
  rise_.store(state.measures);
  folder_.save(runtime_, model_, config_, *data_.tokenizer, state);
}

RunSummary Trainer::summary() const {
  RunSummary summary;
  summary.step = outcome_.step;
  summary.title = folder_.path().filename().string();
  if (summary.title.empty()) summary.title = folder_.path().parent_path().filename().string();
  summary.subtitle = models::describe(model_);
  summary.facts = {{"device", device_.info().name},
                   {"driver", device_.info().driver},
                   {"data", data_.description},
                   {"step", fmt::format("{} of {}", outcome_.step, steps_)},
                   {"tokens a step", std::to_string(tokens_per_step_)},
                   {"device memory, peak", fmt::format("{:.0f} MiB", mib(device_.peak_allocated()))}};
  if (!from_.empty()) summary.facts.emplace_back("started from", from_);
  summary.config_json = config_json(config_);
  return summary;
}

// Saves and reports. Where the weights after step `number` are no numbers an older checkpoint is worth more than they.
void Trainer::checkpoint(std::int64_t number) {
  try {
    save(number);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNumeric) throw;
    stop_as_diverged(number, error.what());
  }
  lead([this] { views_.report(summary()); });
}

TrainOutcome Trainer::run_steps() {
  const TrainConfig& train = config_.train;
  const auto save_is_due = [&](std::int64_t number) {
    return number == steps_ || (train.save_every > 0 && number % train.save_every == 0);
  };
  std::int64_t number = start_.steps;
  outcome_ = {.interrupted = false, .step = number, .steps = steps_, .last_loss = {}, .valid_loss = {}};
  if (leads()) info("{}", models::describe(model_));
  if (leads())
    info("{} steps of {} tokens on {} ({})", steps_, tokens_per_step_, device_.info().name, device_.info().driver);
  if (number >= steps_ && leads()) info("step {} is done already; a larger train.steps continues the run", number);
  if (keeper_.step() >= 0) lead([&] { views_.report_if_not_of(number, [this] { return summary(); }); });
  bool stop = !look_at_model(number, keeper_.step() >= 0) && number < steps_;
  // Otherwise what was left out at step 0 could not be made up for: the weights would have gone on.
  if (stop && keeper_.step() < 0) checkpoint(number);
  while (!stop && number < steps_) {
    step_runner_.start(++number);
    if (remap_is_due(number)) {
      finish_steps(0);
      remap_model(number);
    }
    if (is_due(train.eval_every, number) || is_due(train.sample_every, number)) {
      finish_steps(0);
      stop = !look_at_model(number, false);
    }
    stop = (stop || (exchange_ ? step_runner_.stop_agreed() : stop_requested())) && number < steps_;
    finish_steps(stop || save_is_due(number) ? 0 : 1);
    if (stop || save_is_due(number)) checkpoint(number);
  }
  if (leads()) log_progress({});
  lead([this] { keeper_.end(rise_.risen()); });
  outcome_.interrupted = stop;
  return outcome_;
}

}  // namespace fabula::train
