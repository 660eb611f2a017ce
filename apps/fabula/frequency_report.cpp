#include "frequency_report.hpp"

#include "base/fail.hpp"
#include "base/perplexity.hpp"
#include "json_output.hpp"

namespace fabula::app {
namespace {
using eval::FrequencyBand;
using eval::FrequencyTable;
using eval::LabelSums;
using eval::ReliabilityBin;

constexpr auto kBins = static_cast<double>(FrequencyTable::kBins);

/// The numbers of some labels under the names that plain eval has for them.
Json sums_json(const LabelSums& sums, bool has_groups) {
  const auto of_groups = [&](double LabelSums::*sum) { return has_groups ? number(sums.mean(sum)) : Json(); };
  return {{"positions", sums.labels},
          {"loss", number(sums.mean(&LabelSums::loss))},
          {"perplexity", number(sums.perplexity())},
          {"token_accuracy", number(sums.mean(&LabelSums::token_correct))},
          {"group_accuracy", of_groups(&LabelSums::group_correct)},
          {"token_in_group_accuracy", of_groups(&LabelSums::slot_correct)},
          {"group_loss", of_groups(&LabelSums::group_loss)},
          {"slot_loss", of_groups(&LabelSums::slot_loss)},
          {"label_probability", number(sums.mean(&LabelSums::probability))}};
}

Json bands_json(const FrequencyReport& report) {
  Json bands = Json::array();
  for (const FrequencyBand& band : report.table.bands()) {
    Json entry{{"band", band.name()},
               {"first_rank", band.first_rank > 0 ? Json(band.first_rank) : Json()},
               {"last_rank", band.first_rank > 0 ? Json(band.last_rank) : Json()},
               {"tokens", band.tokens}};
    entry.update(sums_json(band.sums, report.has_groups));
    bands.push_back(std::move(entry));
  }
  return bands;
}

double mean(const ReliabilityBin& bin, double sum) {
  return bin.labels > 0 ? sum / static_cast<double>(bin.labels) : NAN;
}

Json bins_json(const FrequencyTable& table) {
  Json bins = Json::array();
  for (std::size_t i = 0; i < table.bins().size(); ++i) {
    const ReliabilityBin& bin = table.bins()[i];
    bins.push_back({{"from", static_cast<double>(i) / kBins},
                    {"to", static_cast<double>(i + 1) / kBins},
                    {"positions", bin.labels},
                    {"probability", number(mean(bin, bin.probability))},
                    {"right", number(mean(bin, bin.correct))}});
  }
  return bins;
}

std::string cell(double value, int precision) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, precision) : "-";
}
/// Three digits of a number of any size.
std::string short_cell(double value) {
  return std::isfinite(value) ? fmt::format("{:.3g}", value) : "-";
}

std::string totals_text(const FrequencyReport& report) {
  const LabelSums& total = report.table.total();
  std::string text = fmt::format(
      "positions                {}\nloss                     {:.4f}\nperplexity               {}\n"
      "token accuracy           {:.2f} %\n",
      total.labels, total.mean(&LabelSums::loss), perplexity_text(total.perplexity(), 3),
      100 * total.mean(&LabelSums::token_correct));
  if (report.has_groups)
    text += fmt::format(
        "group accuracy           {:.2f} %\ntoken-in-group accuracy  {:.2f} %\n"
        "group loss               {:.4f}\nslot loss                {:.4f}\n",
        100 * total.mean(&LabelSums::group_correct), 100 * total.mean(&LabelSums::slot_correct),
        total.mean(&LabelSums::group_loss), total.mean(&LabelSums::slot_loss));
  if (report.rows_without_token > 0)
    text += fmt::format("mass without a token     {:.3g}, of {} rows\n", total.mean(&LabelSums::mass_without_token),
                        report.rows_without_token);
  return text;
}

std::string bands_text(const FrequencyReport& report) {
  std::string text = fmt::format("by rank of the label in {}{}; accuracies in %\n", report.counted,
                                 report.counted_itself ? ", the evaluated text itself" : "");
  text += fmt::format("{:>12} {:>8} {:>10} {:>8} {:>11}", "ranks", "tokens", "positions", "loss", "perplexity");
  if (report.has_groups) text += fmt::format(" {:>7} {:>8}", "group", "in group");
  text += fmt::format(" {:>7} {:>8}\n", "token", "mean p");
  for (const FrequencyBand& band : report.table.bands()) {
    const LabelSums& sums = band.sums;
    text += fmt::format("{:>12} {:>8} {:>10} {:>8} {:>11}", band.name(), band.tokens, sums.labels,
                        cell(sums.mean(&LabelSums::loss), 4),
                        std::isfinite(sums.perplexity()) ? perplexity_text(sums.perplexity(), 2) : "-");
    if (report.has_groups)
      text += fmt::format(" {:>7} {:>8}", cell(100 * sums.mean(&LabelSums::group_correct), 2),
                          cell(100 * sums.mean(&LabelSums::slot_correct), 2));
    text += fmt::format(" {:>7} {:>8}\n", cell(100 * sums.mean(&LabelSums::token_correct), 2),
                        short_cell(sums.mean(&LabelSums::probability)));
  }
  return text;
}

std::string bins_text(const FrequencyTable& table) {
  std::string text =
      fmt::format("probability of the most probable token, and how often it was right\n{:>12} {:>10} {:>8} {:>8}\n",
                  "bin", "positions", "mean p", "right");
  for (std::size_t i = 0; i < table.bins().size(); ++i) {
    const ReliabilityBin& bin = table.bins()[i];
    text +=
        fmt::format("{:>12} {:>10} {:>8} {:>8}\n",
                    fmt::format("{:.1f}-{:.1f}", static_cast<double>(i) / kBins, static_cast<double>(i + 1) / kBins),
                    bin.labels, cell(mean(bin, bin.probability), 4), cell(mean(bin, bin.correct), 4));
  }
  return text + fmt::format("expected calibration error  {:.4f}\n", table.expected_calibration_error());
}

}  // namespace

std::string frequency_json(const FrequencyReport& report) {
  Json json = sums_json(report.table.total(), report.has_groups);
  json["rows_without_token"] = report.rows_without_token;
  json["mass_without_token"] = number(report.table.total().mean(&LabelSums::mass_without_token));
  json["counts"] = report.counted;
  json["counts_of_the_data_itself"] = report.counted_itself;
  json["bands"] = bands_json(report);
  json["reliability"] = bins_json(report.table);
  json["expected_calibration_error"] = number(report.table.expected_calibration_error());
  return dump(json, 2) + "\n";
}

std::string frequency_text(const FrequencyReport& report) {
  return totals_text(report) + "\n" + bands_text(report) + "\n" + bins_text(report.table);
}

}  // namespace fabula::app
