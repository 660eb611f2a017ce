#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/run_config.hpp"
#include "formats/table.hpp"
#include "graph/types.hpp"
#include "vk/device.hpp"
#include "weights/format.hpp"

namespace fabula::bench {

struct DecodeBenchOptions {
  int repeats = 0;                               ///< timed, after the warm-up; 0: 5, on a software device 3
  std::vector<std::int64_t> slots = {1, 8, 32};  ///< sessions of so many, all at work
  std::vector<std::int64_t> contexts;            ///< empty: 64, four times as many each, and the model's
  std::vector<std::int64_t> vocabularies;        ///< empty: the config's
  std::vector<std::string>
      heads;                  ///< parts of names; empty: the paper's head, the full one and one of the config's own
  std::int64_t prompt = 128;  ///< tokens, or as many as the model's context leaves room for
  graph::DType cache = graph::DType::kF32;  ///< of keys and values
  std::vector<weights::Format> weights = {weights::Format::kFp32};
  std::filesystem::path saved;  ///< folder of a trained model: the first rows, with its weights; the others' are random
};

/// Decoding sessions (infer/session.hpp) of every head on one body: a row a head, weight format and context, its texts
/// at that length while the clock runs. Medians. The config needs its vocab_size. A session that does not fit the
/// device's memory says so in its column. Throws kInvalidArgument for names, contexts or numbers of slots that do not
/// go with it.
Table bench_decode(const vk::DeviceOptions& device, const RunConfig& config, const DecodeBenchOptions& options);

/// Where the time of one step goes, by kernel or by op: of the saved model, else of the config's head or the first that
/// is asked for, in the first weight format, with the first number of slots at the first context. Every kernel runs
/// alone here; a note says what the step takes in bench_decode, and how many times the sum of its kernels that is.
/// Throws kUnsupported on a device without timestamps.
Table profile_decode(const vk::DeviceOptions& device, const RunConfig& config, const DecodeBenchOptions& options,
                     bool by_op);

}  // namespace fabula::bench
