// What a trainer shows of its model: validation and samples.
#include <algorithm>

#include "base/fail.hpp"
#include "base/log.hpp"
#include "base/perplexity.hpp"
#include "train/trainer.hpp"

namespace fabula::train {

// False: a stop was asked for meanwhile, and nothing is recorded.
bool Trainer::validate_model(std::int64_t number) {
  if (!valid_batches_) return true;
  bool stopped = false;
  const eval::Evaluation evaluation =
      eval::evaluate(runtime_, *graphs_.evaluation, model_, *valid_batches_,
                     static_cast<std::uint64_t>(std::max<std::int64_t>(config_.train.eval_batches, 0)),
                     [&](std::uint64_t, std::uint64_t) { return !(stopped = stop_requested()); });
  if (stopped) return false;
  MetricsRecord record{std::string(kEvalRecord), number, {{"loss", evaluation.loss()}}, {}};
  std::string accuracy;
  if (evaluation.has_groups) {
    record.values["group_accuracy"] = evaluation.group_accuracy();
    record.values["token_accuracy"] = evaluation.token_in_group_accuracy();
    accuracy = fmt::format(", group accuracy {:.1f} %, token in group {:.1f} %", 100 * evaluation.group_accuracy(),
                           100 * evaluation.token_in_group_accuracy());
  } else if (evaluation.has_token) {
    record.values["token_accuracy"] = evaluation.token_accuracy();
    accuracy = fmt::format(", token accuracy {:.1f} %", 100 * evaluation.token_accuracy());
  }
  views_.append(record);
  outcome_.valid_loss = evaluation.loss();
  best_valid_loss_ = std::min(best_valid_loss_, evaluation.loss());
  info("step {}: validation loss {:.4f}, perplexity {}{}", number, evaluation.loss(),
       perplexity_text(evaluation.perplexity(), 2), accuracy);
  return true;
}

bool Trainer::show_sample(std::int64_t number) {
  infer::GenerateOptions options;
  options.max_tokens = config_.train.sample_tokens;
  options.stop_ids.assign(config_.model.eos_token_ids.begin(), config_.model.eos_token_ids.end());
  options.sampler.temperature = config_.train.sample_temperature;
  options.sampler.seed = static_cast<std::uint64_t>(config_.train.seed);
  options.slide = true;
  bool stopped = false;
  const std::string text = generator_
                               ->generate(config_.train.sample_prompt, options,
                                          [&](const infer::GeneratedPiece&) { return !(stopped = stop_requested()); })
                               .text;
  if (stopped) return false;
  views_.append({std::string(kSampleRecord), number, {}, {{"prompt", config_.train.sample_prompt}, {"text", text}}});
  info("step {}: {}{}", number, config_.train.sample_prompt, text);
  return true;
}

// Validation and sample where they are due. `again`: only those that a run stopped in their midst has left out. False:
// a stop was asked for in their midst, and they are left out.
bool Trainer::look_at_model(std::int64_t number, bool again) {
  bool validate = is_due(config_.train.eval_every, number),
       sample = number > 0 && is_due(config_.train.sample_every, number);
  if (again && leads())
    for (const MetricsRecord& record : views_.records()) {
      if (record.step != number) continue;
      validate = validate && record.kind != kEvalRecord;
      sample = sample && record.kind != kSampleRecord;
    }
  try {
    bool seen = true;
    if (any_rank(leads() && (validate || sample)))
      lead([&] { seen = (!validate || validate_model(number)) && (!sample || show_sample(number)); });
    return !any_rank(!seen);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNumeric) throw;
    stop_as_diverged(number, error.what());
  }
}

}  // namespace fabula::train
