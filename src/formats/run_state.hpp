#pragma once
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>

namespace fabula {

/// state.json: what a resumed run needs beside the weights and the optimizer's state.
struct RunState {
  std::int64_t step = 0;           ///< optimizer steps done
  std::int64_t tokens_seen = 0;    ///< tokens that have given a gradient
  std::int64_t data_position = 0;  ///< batches handed out since the start, in the order that `seed` gives
  std::int64_t seed = 0;
  double best_val_loss = std::numeric_limits<double>::infinity();
  std::string lowering;  ///< digest of the kernel variants, split-K and row blocks chosen at the start
  std::string device;
  std::string driver;
  std::map<std::string, std::int64_t> numbers;  ///< further counters by name
  std::map<std::string, std::string> texts;     ///< further notes by name
  // Not in the files of older programs, then empty:
  std::map<std::string, double> measures;  ///< further numbers that are no counts; finite
  /// XXH64 of the checkpoint's other files by name, as checksum_text writes it.
  std::map<std::string, std::string> checksums;
};

/// In RunState::texts: the folder that a run started from, with " (step N)" where that is a run. Absent: fresh weights.
inline constexpr const char* kStartKey = "from";

std::string run_state_json(const RunState& state);
/// Errors: kFormat naming `source` and the key.
RunState parse_run_state(std::string_view json_text, std::string_view source);

/// Errors: kIo; kNotFound, kFormat.
void write_run_state(const std::filesystem::path& path, const RunState& state);
RunState read_run_state(const std::filesystem::path& path);

}  // namespace fabula
