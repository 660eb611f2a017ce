#include "train/fit.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/byte_size.hpp"
#include "base/fail.hpp"
#include "base/log.hpp"
#include "formats/config_keys.hpp"

namespace fabula::train {
namespace {

constexpr std::uint64_t kNoPlan = std::numeric_limits<std::uint64_t>::max();
constexpr std::int64_t kLargestStride = 8;
constexpr std::size_t kPowersShown = 6;
/// Batches so many times smaller cost about what recomputation costs, a third more work: small ones leave a GPU idle.
constexpr std::int64_t kSmallBatchCost = 4;

std::int64_t largest_batch_size() {
  for (const ConfigKey& key : config_keys())
    if (key.section == "train" && key.is_called("batch_size")) return std::get<IntegerField>(key.field).max;
  fail(ErrorCode::kInternal, "there is no key train.batch_size");
}

/// Of `n`, at most `bound`; 0 for bound 0.
std::int64_t largest_divisor(std::int64_t n, std::int64_t bound) {
  std::int64_t divisor = std::min(bound, n);
  while (divisor > 0 && n % divisor != 0) --divisor;
  return divisor;
}

std::uint64_t planned_bytes(const graph::Target& target, const models::LanguageModel& model, TrainConfig config,
                            std::int64_t batch, Recompute recompute) {
  config.batch_size = batch;
  config.recompute = recompute;
  return plan_training(target, model, config).workload.report().total();
}

/// Plans batch sizes of one way of recomputing, each once.
class BatchSearch {
 public:
  BatchSearch(const graph::Target& target, const models::LanguageModel& model, const TrainConfig& config,
              Recompute recompute)
      : target_(target), model_(model), config_(config), recompute_(recompute) {}

  /// kNoPlan where the device cannot take a batch of that size for another reason than its memory.
  std::uint64_t bytes(std::int64_t batch) {
    if (const auto it = bytes_.find(batch); it != bytes_.end()) return it->second;
    std::uint64_t& result = bytes_[batch] = kNoPlan;
    try {
      result = planned_bytes(target_, model_, config_, batch, recompute_);
    } catch (const Error& error) {
      const bool too_large = error.code() == ErrorCode::kOutOfMemory || error.code() == ErrorCode::kUnsupported ||
                             error.code() == ErrorCode::kInvalidArgument;
      if (batch == 1 || !too_large) throw;
      if (batch < refused_batch_) {
        refused_batch_ = batch;
        why_not_ = error.what();
      }
    }
    return result;
  }

  /// Why the batch size above `largest` cannot be planned; empty where it can.
  std::string why_not_more(std::int64_t largest) const { return refused_batch_ == largest + 1 ? why_not_ : ""; }

  /// 0: not even one sequence. Memory grows about linearly with the batch, so a guess is nearly right.
  std::int64_t largest(std::uint64_t memory) {
    const std::int64_t most = largest_batch_size();
    if (bytes(1) > memory) return 0;
    const std::uint64_t slope = bytes(2) > bytes(1) ? bytes(2) - bytes(1) : 1;
    const auto guess = static_cast<std::int64_t>(
        std::min<std::uint64_t>(1 + (memory - bytes(1)) / slope, static_cast<std::uint64_t>(most)));
    std::int64_t fits = 1, above = most + 1;  // the answer is in [fits, above)
    for (std::int64_t up = 1, down = 1; fits + 1 < above;) {
      std::int64_t next = 0;
      if (above > most) {  // no limit met: up to the guess in strides, since a plan far too large takes long
        next = std::min({guess > fits ? guess : fits + up, kLargestStride * fits, most});
        if (guess <= fits) up *= 2;
      } else {
        next = std::max(fits + (above - fits) / 2, above - down);
        down *= 2;
      }
      (bytes(next) <= memory ? fits : above) = next;
    }
    return fits;
  }

 private:
  const graph::Target& target_;
  const models::LanguageModel& model_;
  const TrainConfig& config_;
  Recompute recompute_;
  std::map<std::int64_t, std::uint64_t> bytes_;
  std::int64_t refused_batch_ = std::numeric_limits<std::int64_t>::max();  ///< the smallest that cannot be planned
  std::string why_not_;
};

}  // namespace

BatchFit fit_batch(const graph::Target& target, const models::LanguageModel& model, const TrainConfig& config,
                   std::uint64_t memory) {
  BatchSearch none(target, model, config, Recompute::kNone), block(target, model, config, Recompute::kBlock);
  BatchFit fit{.none = none.largest(memory), .block = block.largest(memory), .rows = {}, .why_not_more = {}};
  fit.why_not_more = fit.none > fit.block ? none.why_not_more(fit.none) : block.why_not_more(fit.block);
  std::set<std::int64_t> batches{1, config.batch_size, std::max<std::int64_t>(fit.none, 1),
                                 std::max<std::int64_t>(fit.block, 1)};
  std::vector<std::int64_t> powers;
  for (std::int64_t power = 1; power <= fit.largest(); power *= 2) powers.push_back(power);
  batches.insert(powers.end() - static_cast<std::ptrdiff_t>(std::min(powers.size(), kPowersShown)), powers.end());
  for (const std::int64_t batch : batches) fit.rows.push_back({batch, none.bytes(batch), block.bytes(batch)});
  return fit;
}

FittingStep fitting_step(const BatchFit& fit, const TrainConfig& config) {
  const std::int64_t sequences = config.batch_size * config.grad_accumulation;
  const std::int64_t none = largest_divisor(sequences, fit.none), block = largest_divisor(sequences, fit.block);
  FittingStep step{.batch = none, .accumulation = 0, .recompute = Recompute::kNone};
  if (block > kSmallBatchCost * none) step = {.batch = block, .accumulation = 0, .recompute = Recompute::kBlock};
  if (step.batch > 0) step.accumulation = sequences / step.batch;
  return step;
}

std::vector<std::string> memory_advice(const graph::Target& target, const models::LanguageModel& model,
                                       const TrainConfig& config, std::uint64_t memory) {
  const BatchFit fit = fit_batch(target, model, config, memory);
  std::vector<std::string> advice;
  if (config.recompute == Recompute::kNone && fit.block >= config.batch_size)
    advice.push_back("--recompute block   (the same numbers; transformer blocks are computed again, not kept)");
  const std::int64_t sequences = config.batch_size * config.grad_accumulation;
  const auto in_pieces = [&](std::int64_t batch, std::string_view flag) {
    if (batch == 0 || batch >= config.batch_size) return;
    advice.push_back(
        fmt::format("{}--set train.batch_size={} --set train.grad_accumulation={}   (the same step, in more pieces)",
                    flag, batch, sequences / batch));
  };
  const std::int64_t none = largest_divisor(sequences, fit.none), block = largest_divisor(sequences, fit.block);
  if (config.recompute == Recompute::kNone) {
    in_pieces(none, "");
    if (block > none) in_pieces(block, "--recompute block ");
  } else {
    in_pieces(block, "");
  }
  if (model.precision() == Precision::kFp32) advice.emplace_back("--precision fp16   (activations in 16 bits)");
  const std::int64_t T = sequence_length(config, model.config());
  if (T > 1) advice.push_back(fmt::format("--set train.sequence_length={}   (shorter sequences)", T / 2));
  if (model.config().head.kind == HeadKind::kFull)
    advice.emplace_back(
        "--set head.kind=fused   (the same numbers; logits over the whole vocabulary never all in memory)");
  if (fit.largest() == 0) advice.emplace_back("a smaller model: fewer layers, a smaller hidden size or vocabulary");
  return advice;
}

void require_fit(const BatchFit& fit, const graph::Target& target, const models::LanguageModel& model,
                 const TrainConfig& config, std::uint64_t memory) {
  if (fit.largest() > 0) return;
  TrainConfig one = config;
  one.batch_size = 1;
  const FitRow& row = fit.rows.front();
  one.recompute = row.block < row.none ? Recompute::kBlock : Recompute::kNone;
  const std::uint64_t bytes = std::min(row.block, row.none);
  fail(ErrorCode::kOutOfMemory,
       "not even a batch of one sequence fits: {} with recompute {}, {} may be used, {} too much. {}: {}",
       size_text(bytes), recompute_name(one.recompute), size_text(memory), size_text(bytes - memory), kWhatNeedsLess,
       fmt::join(memory_advice(target, model, one, memory), "; "));
}

TrainingPlan plan_to_fit(const vk::DeviceInfo& device, const graph::Target& target, const models::LanguageModel& model,
                         const TrainConfig& config) {
  // A limit above the device's own memory serves plans for other devices, not a run on this one.
  const std::uint64_t memory = std::min(device.usable_memory(), device.device_memory);
  TrainingPlan plan = plan_training(target, model, config, {.memory = memory});
  const std::uint64_t bytes = plan.workload.report().total();
  if (bytes > memory)
    fail(ErrorCode::kOutOfMemory,
         "out of device memory: the run takes {} with recompute {}, {} of {} may be used. {}: {}. `fabula "
         "plan` shows what takes how much, `fabula plan --fit` which batch sizes fit",
         size_text(bytes), recompute_name(plan.recompute), size_text(memory), target.profile.name, kWhatNeedsLess,
         fmt::join(memory_advice(target, model, config, memory), "; "));
  if (plan.recompute != config.recompute && plan.recompute == Recompute::kBlock)
    info("recompute block, so that the run fits: {} of {}", size_text(bytes), size_text(memory));
  return plan;
}

}  // namespace fabula::train
