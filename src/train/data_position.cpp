#include "train/data_position.hpp"

#include <algorithm>

#include "train/training_plan.hpp"

namespace fabula::train {
namespace {

constexpr const char* kWindowsKey = "data_windows";  // in RunState::numbers

std::int64_t windows_of_epoch(const text::TokenFile& tokens, std::int64_t sequence) {
  return std::max<std::int64_t>(1, (static_cast<std::int64_t>(tokens.size()) - 1) / sequence);
}

}  // namespace

DataPosition DataPosition::after(std::int64_t count, const RunConfig& config) const {
  DataPosition result = *this;
  result.steps += count;
  result.batches += count * config.train.grad_accumulation;
  result.windows += count * config.train.grad_accumulation * config.train.batch_size;
  result.tokens += count * config.tokens_per_step();
  return result;
}

void DataPosition::store(RunState& state) const {
  state.step = steps;
  state.tokens_seen = tokens;
  state.data_position = batches;
  state.numbers[kWindowsKey] = windows;
}

DataPosition saved_position(const RunState& state, const RunConfig& then, const RunConfig& now,
                            const text::TokenFile& tokens) {
  DataPosition result{.steps = state.step, .tokens = state.tokens_seen, .batches = state.data_position, .windows = 0};
  const auto windows = state.numbers.find(kWindowsKey);
  // Older programs kept the batches alone, all of one size.
  result.windows = windows != state.numbers.end() ? windows->second : state.data_position * then.train.batch_size;
  if (then.sequence_length() == now.sequence_length()) return result;
  const std::int64_t old_epoch = windows_of_epoch(tokens, then.sequence_length()),
                     new_epoch = windows_of_epoch(tokens, now.sequence_length());
  const std::int64_t place = result.windows % old_epoch;
  result.windows = result.windows / old_epoch * new_epoch +
                   static_cast<std::int64_t>(static_cast<double>(place) / static_cast<double>(old_epoch) *
                                             static_cast<double>(new_epoch));
  return result;
}

}  // namespace fabula::train
