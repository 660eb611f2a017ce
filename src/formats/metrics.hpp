#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_io.hpp"

namespace fabula {

/// Kinds of record that report.html knows; the values it draws are listed in report.hpp.
inline constexpr std::string_view kTrainRecord = "train";
inline constexpr std::string_view kEvalRecord = "eval";
inline constexpr std::string_view kSampleRecord = "sample";
/// What else a run notes: the map of its vocabulary head was made again.
inline constexpr std::string_view kRemapRecord = "remap";

/// One line of metrics.jsonl: {"kind": "train", "step": 10, "loss": 3.2, ..., "text": "..."}.
struct MetricsRecord {
  std::string kind;
  std::int64_t step = 0;
  std::map<std::string, double> values;  ///< a NaN or an infinity is written as null and read as NaN
  std::map<std::string, std::string> texts;
};

std::string metrics_line(const MetricsRecord& record);

/// Appends to metrics.jsonl. Each record is one write, so that a crash tears at most the last line.
class MetricsWriter {
 public:
  /// Opens the file, creating it when missing. Removed first: a torn last line, lines that are no records, and records
  /// beyond `resumed_step` (0 for a new run), so that a resumed run writes them again. Error kIo.
  MetricsWriter(const std::filesystem::path& path, std::int64_t resumed_step);
  /// Error kIo.
  void append(const MetricsRecord& record);
  /// Flushes what was appended to the disk. Error kIo.
  void sync() { file_.sync(); }

 private:
  OutputFile file_;
};

/// All records in order; of two with the same kind and step the later one counts. Lines that are no records (a torn
/// last one, say) are passed over. A missing file has none. Errors: kIo, kFormat for a file above 1 GiB.
std::vector<MetricsRecord> read_metrics(const std::filesystem::path& path);

}  // namespace fabula
