#include "bench/step_bench.hpp"

#include <chrono>
#include <cmath>

#include "base/log.hpp"
#include "base/philox.hpp"
#include "bench/table.hpp"
#include "train/schedule.hpp"

namespace fabula::bench {

using Clock = std::chrono::steady_clock;

BenchBatches::BenchBatches(const RunConfig& config, const text::TokenFile* tokens)
    : vocabulary_(static_cast<std::uint32_t>(config.model.vocab_size)),
      positions_(static_cast<std::size_t>(config.train.batch_size * train::sequence_length(config))) {
  if (tokens != nullptr)
    source_.emplace(*tokens, static_cast<std::uint32_t>(config.train.batch_size),
                    static_cast<std::uint32_t>(train::sequence_length(config)), 1);
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
  Philox random(1);
  std::vector<float> values;
  for (const graph::ParameterSpec& spec : model.parameters()) {
    if (!runtime.workload().stored().contains(spec.name)) continue;
    values.assign(static_cast<std::size_t>(spec.shape.count()), spec.init == graph::Init::kOnes ? 1.0f : 0.0f);
    const double width = std::sqrt(12.0) * spec.init_std;  // of the uniform distribution with that deviation
    if (spec.init == graph::Init::kNormal)
      for (float& value : values) value = static_cast<float>(width * (random.uniform() - 0.5));
    runtime.upload(spec.name, spec.init == graph::Init::kValues ? *spec.values : values);
  }
}

StepBench::StepBench(vk::Device& device, const RunConfig& config, const heads::HeadData& head,
                     const text::TokenFile* tokens, bool timed)
    : config_(config),
      model_(config.model, head, config.train.precision),
      plan_(train::plan_training(device.profile(), model_, config.train,
                                 {.memory = device.info().usable_memory(), .with_extras = false})),
      runtime_(device, std::move(plan_.workload), timed),
      batches_(config, tokens),
      next_words_(words(1)) {
  upload_weights(runtime_, model_);
  for (const char* moment : {"adam.m.", "adam.v."})
    for (const graph::ParameterSpec& spec : model_.parameters())
      runtime_.upload(moment + spec.name, std::vector<float>(static_cast<std::size_t>(spec.shape.count()), 0.0f));
  const std::vector<float> limits{static_cast<float>(config.train.clip_norm), 0, 0, 0};
  runtime_.set_input(plan_.apply, "limits", std::span<const float>(limits));
}

models::BatchWords StepBench::words(std::int64_t number) const {
  const text::Batch batch = batches_.batch(number);
  return models::batch_words(model_, batch.ids, batch.labels, heads::LossUse::kGradient);
}

double StepBench::step(std::int64_t number) {
  const auto start = Clock::now();
  models::set_batch(runtime_, plan_.overwrite, next_words_);
  const std::vector<float> scale{1.0f / static_cast<float>(tokens()), 0, 0, 0};
  runtime_.set_input(plan_.overwrite, "loss_scale", std::span<const float>(scale));
  if (config_.model.embd_dropout > 0 || config_.model.resid_dropout > 0) {
    const std::vector<std::uint32_t> seed{1, 0, static_cast<std::uint32_t>(number), 0};
    runtime_.set_input(plan_.overwrite, "seed", std::span<const std::uint32_t>(seed));
  }
  const std::array<float, 8> hyper = train::adamw_hyper(config_.train, 1e-4, number);
  runtime_.set_input(plan_.apply, "hyper", std::span<const float>(hyper));
  runtime_.submit({plan_.overwrite, plan_.apply});
  next_words_ = words(number + 1);
  runtime_.wait();
  return std::chrono::duration<double>(Clock::now() - start).count();
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
