#pragma once
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "formats/metrics.hpp"
#include "formats/report.hpp"

namespace fabula::train {

/// metrics.jsonl and report.html of a run: views of it, nothing that training depends on. One that cannot be written
/// costs a warning, and another one only after it could be written again; it is tried anew at every checkpoint, records
/// being kept in memory meanwhile.
class RunViews {
 public:
  using Warn = std::function<void(const std::string& message)>;
  RunViews(const std::filesystem::path& run, Warn warn);

  const std::filesystem::path& report_path() const { return report_path_; }

  /// Opens metrics.jsonl; records beyond `resumed_step` (-1: a new run) are removed.
  void open(std::int64_t resumed_step);
  void append(const MetricsRecord& record);
  /// Flushes the records to the disk: before the checkpoint that follows them.
  void sync();
  /// All records that are written or wait to be.
  std::vector<MetricsRecord> records();
  /// Adds the records to `summary` and writes report.html.
  void report(RunSummary summary);
  /// Makes up for a report that is missing or of another step; make_summary is called then alone.
  void report_if_not_of(std::int64_t step, const std::function<RunSummary()>& make_summary);

 private:
  struct View {
    const char* name;
    bool failed = false;  ///< and a warning said so
  };
  bool attempt(View& view, const std::function<void()>& action);
  void write_waiting();

  std::filesystem::path metrics_path_, report_path_;
  Warn warn_;
  View metrics_{"metrics.jsonl"}, report_{"report.html"};
  std::optional<MetricsWriter> writer_;
  std::int64_t kept_steps_ = -1;       ///< records beyond are removed when the file is opened
  std::deque<MetricsRecord> waiting_;  ///< to be written
};

}  // namespace fabula::train
