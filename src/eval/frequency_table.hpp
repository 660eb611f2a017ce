#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fabula::eval {

/// What a model makes of one label in its place. Losses in nats.
struct LabelResult {
  std::uint32_t label = 0;
  double loss = 0;             ///< -log p(label | context)
  double top_probability = 0;  ///< of the most probable of all tokens
  bool token_correct = false;  ///< the label is that token
  double group_loss = 0;       ///< two-level heads, as in heads::HeadLoss: -log p(class), -log p(label | class)
  double slot_loss = 0;
  bool group_correct = false, slot_correct = false;
  double mass_without_token = 0;  ///< probability of all rows without a token
};

/// Sums over labels; their means are NaN over none.
struct LabelSums {
  std::int64_t labels = 0;
  double loss = 0, probability = 0, token_correct = 0;
  double group_loss = 0, slot_loss = 0, group_correct = 0, slot_correct = 0;
  double mass_without_token = 0;

  void add(const LabelResult& result);
  double mean(double LabelSums::*sum) const;
  double perplexity() const;
};

/// Tokens that are about equally frequent, and the labels among them.
struct FrequencyBand {
  std::uint64_t first_rank = 0, last_rank = 0;  ///< from 1 on, in falling frequency; 0: tokens that never occur
  std::uint64_t tokens = 0;                     ///< of the vocabulary
  LabelSums sums;
  std::string name() const;  ///< "101-1000", "never seen"
};

/// Labels whose place has a most probable token of about the same probability.
struct ReliabilityBin {
  std::int64_t labels = 0;
  double probability = 0;  ///< sum over the labels
  double correct = 0;      ///< how many are that token
};

/// A model's results by the frequency of the label and by the model's own confidence.
class FrequencyTable {
 public:
  static constexpr std::size_t kBins = 10;  ///< bin i holds probabilities from i / 10 up to (i + 1) / 10

  /// `counts`: how often each token occurs in a text, which need not be the evaluated one. Throws kInvalidArgument
  /// naming both sizes unless there is one for each of the `vocabulary` tokens.
  FrequencyTable(std::span<const std::uint64_t> counts, std::int64_t vocabulary);

  /// Throws kInvalidArgument for a label beyond the vocabulary.
  void add(const LabelResult& result);

  const LabelSums& total() const { return total_; }
  /// By falling frequency; none without tokens.
  const std::vector<FrequencyBand>& bands() const { return bands_; }
  const std::array<ReliabilityBin, kBins>& bins() const { return bins_; }
  /// The mean over all labels of |probability - part that was right| of their bin.
  double expected_calibration_error() const;

 private:
  std::vector<FrequencyBand> bands_;
  std::vector<std::uint8_t> band_of_;  // [V]
  std::array<ReliabilityBin, kBins> bins_;
  LabelSums total_;
};

}  // namespace fabula::eval
