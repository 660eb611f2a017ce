#include "eval/frequency_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fail.hpp"
#include "maps/token_counts.hpp"

namespace fabula::eval {
namespace {
constexpr std::uint64_t kLastRanks[] = {100, 1000, 5000, 20000, std::numeric_limits<std::uint64_t>::max()};
}  // namespace

void LabelSums::add(const LabelResult& result) {
  ++labels;
  loss += result.loss;
  probability += std::exp(-result.loss);
  token_correct += result.token_correct;
  group_loss += result.group_loss;
  slot_loss += result.slot_loss;
  group_correct += result.group_correct;
  slot_correct += result.slot_correct;
  mass_without_token += result.mass_without_token;
}
double LabelSums::mean(double LabelSums::*sum) const {
  return labels > 0 ? this->*sum / static_cast<double>(labels) : NAN;
}
double LabelSums::perplexity() const {
  return std::exp(mean(&LabelSums::loss));
}

std::string FrequencyBand::name() const {
  return first_rank == 0 ? "never seen" : fmt::format("{}-{}", first_rank, last_rank);
}

FrequencyTable::FrequencyTable(std::span<const std::uint64_t> counts, std::int64_t vocabulary)
    : band_of_(counts.size()), bins_{} {
  if (counts.size() != static_cast<std::size_t>(vocabulary))
    fail(ErrorCode::kInvalidArgument, "counts of {} tokens for a vocabulary of {}; count a text of the same tokenizer",
         counts.size(), vocabulary);
  const std::vector<std::uint32_t> order = maps::tokens_by_frequency(counts);
  const auto is_seen = [&](std::uint32_t token) { return counts[token] > 0; };
  const auto seen = static_cast<std::uint64_t>(std::partition_point(order.begin(), order.end(), is_seen) -
                                               order.begin());  // the others come last
  const auto add_band = [&](FrequencyBand band, std::uint64_t begin) {
    for (std::uint64_t i = begin; i < begin + band.tokens; ++i)
      band_of_[order[i]] = static_cast<std::uint8_t>(bands_.size());
    bands_.push_back(std::move(band));
  };
  std::uint64_t begin = 0;
  for (const std::uint64_t limit : kLastRanks) {
    const std::uint64_t end = std::min(limit, seen);
    if (begin == end) break;
    add_band({.first_rank = begin + 1, .last_rank = end, .tokens = end - begin, .sums = {}}, begin);
    begin = end;
  }
  if (seen < order.size()) add_band({.first_rank = 0, .last_rank = 0, .tokens = order.size() - seen, .sums = {}}, seen);
}

void FrequencyTable::add(const LabelResult& result) {
  if (result.label >= band_of_.size())
    fail(ErrorCode::kInvalidArgument, "label {} is beyond the vocabulary of {} tokens", result.label, band_of_.size());
  total_.add(result);
  bands_[band_of_[result.label]].sums.add(result);
  const double place = std::floor(result.top_probability * static_cast<double>(kBins));
  ReliabilityBin& bin = bins_[static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(kBins - 1)))];
  ++bin.labels;
  bin.probability += result.top_probability;
  bin.correct += result.token_correct;
}

double FrequencyTable::expected_calibration_error() const {
  double sum = 0;
  for (const ReliabilityBin& bin : bins_) sum += std::abs(bin.probability - bin.correct);
  return total_.labels > 0 ? sum / static_cast<double>(total_.labels) : NAN;
}

}  // namespace fabula::eval
