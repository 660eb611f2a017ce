#pragma once
#include <cstdint>

#include "formats/run_config.hpp"
#include "formats/run_state.hpp"
#include "text/token_file.hpp"

namespace fabula::train {

/// How far a run has come in its data. Batches may change between one process and the next: windows say where the data
/// goes on, batches are numbers that have not been used before (dropout's masks follow from them).
struct DataPosition {
  std::int64_t steps = 0, tokens = 0;
  std::int64_t batches = 0;  ///< micro-batches handed out: RunState::data_position
  std::int64_t windows = 0;  ///< sequences handed out, in the order that the seed gives, counted through the epochs

  /// `count` steps of this config later.
  DataPosition after(std::int64_t count, const RunConfig& config) const;
  void store(RunState& state) const;
};

/// What a checkpoint tells; `then` is its config. Where the sequences have another length now, their order is another
/// one: the data goes on at the same part of the epoch.
DataPosition saved_position(const RunState& state, const RunConfig& then, const RunConfig& now,
                            const text::TokenFile& tokens);

}  // namespace fabula::train
