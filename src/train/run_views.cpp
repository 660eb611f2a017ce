#include "train/run_views.hpp"

#include <limits>
#include <system_error>

#include "base/fail.hpp"

namespace fabula::train {
namespace {

constexpr std::size_t kMostWaiting = 100'000;  // records of about 300 bytes

}  // namespace

RunViews::RunViews(const std::filesystem::path& run, Warn warn)
    : metrics_path_(run / "metrics.jsonl"), report_path_(run / "report.html"), warn_(std::move(warn)) {}

bool RunViews::attempt(View& view, const std::function<void()>& action) {
  std::string reason;
  try {
    action();
    view.failed = false;
    return true;
  } catch (const Error& error) {
    reason = error.what();
  } catch (const std::system_error& error) {  // of the file system
    reason = error.what();
  }
  if (!view.failed)
    warn_(fmt::format("{}. Training goes on without {}; it is tried again at every checkpoint", reason, view.name));
  view.failed = true;
  return false;
}

void RunViews::open(std::int64_t resumed_step) {
  kept_steps_ = resumed_step;
  attempt(metrics_, [&] {
    writer_.emplace(metrics_path_, kept_steps_);
    kept_steps_ = std::numeric_limits<std::int64_t>::max();
  });
}

void RunViews::append(const MetricsRecord& record) {
  waiting_.push_back(record);
  if (waiting_.size() > kMostWaiting) waiting_.pop_front();
  if (writer_) attempt(metrics_, [&] { write_waiting(); });
}

// A write that failed may have left a torn line behind: the file is then opened anew, which removes that.
void RunViews::write_waiting() {
  try {
    for (; !waiting_.empty(); waiting_.pop_front()) writer_->append(waiting_.front());
  } catch (const Error&) {
    writer_.reset();
    throw;
  }
}

void RunViews::sync() {
  if (!writer_) open(kept_steps_);
  if (!writer_) return;
  attempt(metrics_, [&] {
    write_waiting();
    writer_->sync();
  });
}

std::vector<MetricsRecord> RunViews::records() {
  std::vector<MetricsRecord> result;
  View reading = metrics_;  // that it can be read does not say that it can be written
  if (!attempt(reading, [&] { result = read_metrics(metrics_path_); })) metrics_.failed = true;
  result.insert(result.end(), waiting_.begin(), waiting_.end());
  return result;
}

void RunViews::report(RunSummary summary) {
  summary.records = records();
  attempt(report_, [&] { write_report(report_path_, summary); });
}

void RunViews::report_if_not_of(std::int64_t step, const std::function<RunSummary()>& make_summary) {
  if (report_step(report_path_) != step) report(make_summary());
}

}  // namespace fabula::train
