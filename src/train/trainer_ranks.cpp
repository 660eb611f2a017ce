// What a trainer does as one of several ranks.
#include "base/hash.hpp"
#include "base/log.hpp"
#include "formats/config_io.hpp"
#include "text/tokenizer_files.hpp"
#include "train/ranks.hpp"
#include "train/trainer.hpp"

namespace fabula::train {
namespace {

constexpr std::uint64_t kComparedWindows = 8;

/// What tells one file of tokens from another: how many there are, and some of them.
std::string fingerprint(const text::TokenFile& tokens, const text::BatchSource& batches) {
  std::uint64_t hash = kFnvOffset;
  for (std::uint64_t i = 0; i < kComparedWindows; ++i) {
    const text::Batch batch = batches.batch_from(i * batches.windows() / kComparedWindows);
    hash = fnv1a(batch.ids.data(), batch.ids.size() * sizeof(batch.ids.front()), hash);
  }
  return fmt::format("{} tokens, {:016x}", tokens.size(), hash);
}

}  // namespace

// Before anything is written: where ranks differ, nothing is lost.
void Trainer::join_ranks() {
  Reducer& reducer = *options_.reducer;
  reducer.agree("the config", config_json(config_));
  reducer.agree("the training data", fingerprint(*data_.train, batches_));
  reducer.agree("the tokenizer", fmt::format("{:016x}", fnv1a(text::tokenizer_json(*data_.tokenizer))));
  reducer.agree("its kernels (another device, driver or build of fabula)", lowering_);
  const bool goes_on = options_.resume != Resume::kNever && folder_.has_state();
  reducer.agree("the run that it finds in " + folder_.path().string(),
                goes_on ? run_state_json(folder_.read_state()) : "none");
  exchange_.emplace(reducer, runtime_, graphs_);
  rank_times_.emplace(reducer);
  step_runner_.share(*exchange_, [this] { return stop_requested(); });
  if (leads() && !has_subtrees(config_.train, reducer.size()))
    info("{} batches a rank are no power of two: another number of ranks computes other bits",
         config_.train.grad_accumulation / reducer.size());
}

void Trainer::lead(const std::function<void()>& work) {
  if (options_.reducer != nullptr)
    options_.reducer->lead(work);
  else
    work();
}

/// Whether it is true on any rank.
bool Trainer::any_rank(bool value) {
  if (options_.reducer == nullptr) return value;
  float count = value ? 1.0f : 0.0f;
  options_.reducer->sum({&count, 1}, kSetupPatience);
  return count > 0;
}

void Trainer::compare_weights(std::int64_t number) {
  if (options_.reducer == nullptr) return;
  options_.reducer->agree(fmt::format("the weights after step {}", number), weights_hash(runtime_, model_));
}

// What ends this rank alone ends the others: they would wait for it in vain.
TrainOutcome Trainer::run() {
  if (options_.reducer == nullptr) return run_steps();
  try {
    return run_steps();
  } catch (const SharedError&) {
    throw;
  } catch (const Error& error) {
    const bool known = error.code() == ErrorCode::kPeer || error.code() == ErrorCode::kNumeric;
    if (!known) options_.reducer->abort(error.what());
    throw;
  } catch (const std::exception& error) {
    options_.reducer->abort(error.what());
    throw;
  }
}

}  // namespace fabula::train
