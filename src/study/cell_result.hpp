#pragma once
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace fabula::study {

inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

/// Labels of about equally frequent tokens.
struct BandResult {
  std::string band;  ///< ranks: "101-1000"
  std::uint64_t tokens = 0;
  std::int64_t positions = 0;
  double loss = kNoNumber, token_accuracy = kNoNumber, group_accuracy = kNoNumber;
};

/// A validation in the midst of training.
struct CurvePoint {
  std::int64_t step = 0;
  double loss = kNoNumber;
  double seconds = 0;  ///< of training before it
};

/// What a clock says of a cell, and nothing else does.
struct CellTimings {
  double tokens_per_second = 0, seconds_per_step = 0;  ///< medians over the steps
  /// That many for each step: what a start, a resume or a validation takes is no matter of the row.
  double seconds = 0;
};

/// What is kept of a finished cell. Accuracies and losses are means over the whole validation text; NaN: the head has
/// no such number, or the cell diverged.
struct CellResult {
  std::string cell, row;
  double learning_rate = 0;
  std::int64_t seed = 0;
  std::string digest;                  ///< Cell::digest
  std::vector<std::string> overrides;  ///< of the study's config, all of them
  std::string config;                  ///< config_json of Cell::config
  std::string diverged;                ///< where and how; empty: it did not
  std::string head;                    ///< in words
  std::int64_t steps = 0, tokens = 0;
  std::int64_t positions = 0;
  double loss = kNoNumber, token_accuracy = kNoNumber, group_accuracy = kNoNumber, token_in_group_accuracy = kNoNumber;
  std::vector<BandResult> bands;
  std::vector<CurvePoint> curve;
  std::int64_t parameters = 0, head_parameters = 0;
  double logits = kNoNumber;  ///< of a position, in the mean over the training text; NaN: not known
  std::int64_t most_logits = 0;
  std::uint64_t peak_bytes = 0;  ///< device memory of training
  CellTimings timings;
  std::string device, driver, program;

  bool has_diverged() const { return !diverged.empty(); }
  double perplexity() const;
};

/// As JSON; what a clock said stands under "timings" alone.
nlohmann::ordered_json cell_result_json(const CellResult& result);
/// Error kFormat naming `source` and the key.
CellResult parse_cell_result(std::string_view json_text, std::string_view source);

/// Errors: kIo; kNotFound, kFormat.
void write_cell_result(const std::filesystem::path& path, const CellResult& result);
CellResult read_cell_result(const std::filesystem::path& path);

}  // namespace fabula::study
