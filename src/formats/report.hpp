#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "formats/metrics.hpp"

namespace fabula {

/// What report.html tells. Values that it draws, by kind of record:
///   train   loss, learning_rate, grad_norm, group_accuracy, token_accuracy (token within its true group),
///   tokens_per_second, tokens_seen eval    loss, group_accuracy, token_accuracy sample  texts prompt and text (what
///   follows the prompt)
/// Losses are nats a token, accuracies parts of 1. What is absent is left out.
struct RunSummary {
  std::int64_t step = 0;                                   ///< that the run had reached
  std::string title;                                       ///< the run's name
  std::string subtitle;                                    ///< one line: body, head, parameters
  std::vector<std::pair<std::string, std::string>> facts;  ///< device, driver, data, ...: shown as a list
  std::string config_json;                                 ///< shown folded, as it is
  std::vector<MetricsRecord> records;
};

/// One page without scripts or anything from elsewhere: light and dark, wide and narrow, printable. All texts are
/// escaped.
std::string report_html(const RunSummary& summary);

/// Writes it as one step. Error kIo.
void write_report(const std::filesystem::path& path, const RunSummary& summary);

/// RunSummary::step of a written report; nothing where there is none that can be read.
std::optional<std::int64_t> report_step(const std::filesystem::path& path);

}  // namespace fabula
