#include "bench/step_bench.hpp"

#include <cmath>

#include "base/log.hpp"
#include "base/median.hpp"
#include "base/philox.hpp"
#include "models/weights.hpp"
#include "train/ranks.hpp"
#include "weights/matrix.hpp"

namespace fabula::bench {
namespace {
constexpr std::int64_t kScheduleSteps = 1 << 20;  // of the learning rate's schedule: longer than any measurement
/// What one rank computes of a step.
TrainConfig part_of(TrainConfig config, const train::Reducer* ranks) {
  if (ranks != nullptr) config.grad_accumulation = train::own_micro_batches(config, ranks->size());
  return config;
}

}  // namespace

BenchBatches::BenchBatches(const RunConfig& config, const text::TokenFile* tokens)
    : vocabulary_(static_cast<std::uint32_t>(config.model.vocab_size)),
      positions_(static_cast<std::size_t>(config.train.batch_size * config.sequence_length())) {
  if (tokens != nullptr)
    source_.emplace(*tokens, static_cast<std::uint32_t>(config.train.batch_size),
                    static_cast<std::uint32_t>(config.sequence_length()), 1);
}

text::Batch BenchBatches::batch(std::int64_t number) const {
  if (source_) return source_->batch(static_cast<std::uint64_t>(number));
  Philox random(7, static_cast<std::uint64_t>(number));
  text::Batch batch{std::vector<std::uint32_t>(positions_), std::vector<std::uint32_t>(positions_)};
  for (std::uint32_t& id : batch.ids) id = random.below(vocabulary_);
  for (std::uint32_t& label : batch.labels) label = random.below(vocabulary_);
  return batch;
}

void upload_weights(graph::Runtime& runtime, const models::LanguageModel& model) {
  models::upload_constants(runtime, model);
  Philox random(1);
  std::vector<float> values;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    if (!runtime.workload().stored().contains(spec.name)) continue;
    values.assign(static_cast<std::size_t>(spec.shape.count()), spec.init == graph::Init::kOnes ? 1.0f : 0.0f);
    const double width = std::sqrt(12.0) * spec.init_std;  // of the uniform distribution with that deviation
    if (spec.init == graph::Init::kNormal)
      for (float& value : values) value = static_cast<float>(width * (random.uniform() - 0.5));
    weights::matrix_of(spec)->upload(runtime, spec.init == graph::Init::kValues ? *spec.values : values);
  }
}

StepBench::StepBench(vk::Device& device, const KernelChoices& choices, const RunConfig& config,
                     const heads::HeadData& head, const text::TokenFile* tokens, bool timed,
                     [[maybe_unused]] train::Reducer* ranks)
    : config_(config),
      model_(config.model, head, config.train.precision),
      training_(device,
                train::plan_training({device.profile(), choices}, model_, part_of(config.train, ranks),
                                     {.memory = device.info().usable_memory(), .with_extras = false}),
                {.timed = timed, .spans = true}),
      batches_(config, tokens),
      runner_(training_.runtime, training_.graphs, model_, config, kScheduleSteps,
              [this](std::uint64_t number) { return batches_.batch(static_cast<std::int64_t>(number)); }) {
  upload_weights(training_.runtime, model_);
  if (ranks == nullptr) return;
  exchange_.emplace(*ranks, training_.runtime, training_.graphs);
  runner_.share(*exchange_, [] { return false; });
}

std::int64_t StepBench::tokens() const {
  return config_.tokens_per_step();
}

void StepBench::log(const std::string& name, const train::StepResult& result) const {
  info("{}: step {} took {:.1f} ms", name, result.number, 1e3 * result.seconds);
}

StepTime StepBench::measure(const std::string& name, int steps) {
  std::vector<double> seconds, idle;
  const std::int64_t last = steps_ + kWarmUpSteps + steps, first = steps_ + kWarmUpSteps + 1;
  const auto take = [&] {
    const train::StepResult result = runner_.finish();
    log(name, result);
    if (result.number < first || result.number > last) return;
    seconds.push_back(result.seconds);
    if (result.idle_seconds) idle.push_back(*result.idle_seconds);
  };
  std::uint64_t submissions = 0;  // before the first step that counts
  while (steps_ <= last) {        // one more, so that the last that counts has a step behind it like the others
    if (++steps_ == first) submissions = training_.runtime.device().submissions();
    runner_.start(steps_);
    if (runner_.under_way() > 1) take();
  }
  const double made = static_cast<double>(training_.runtime.device().submissions() - submissions);
  while (runner_.under_way() > 0) take();
  return {median(seconds), idle.empty() ? std::nullopt : std::optional(median(idle)), made / (steps + 1)};
}

void StepBench::step() {
  runner_.start(++steps_);
  log("profile", runner_.finish());
}

double median_seconds(const std::string& name, int steps, const std::function<double(std::int64_t)>& step) {
  std::vector<double> times;
  for (int number = 1; number <= steps + kWarmUpSteps; ++number) {
    const double seconds = step(number);
    if (number > kWarmUpSteps) times.push_back(seconds);
    info("{}: step {} took {:.1f} ms", name, number, 1e3 * seconds);
  }
  return median(times);
}

}  // namespace fabula::bench
