// What the device draws: by how often, against the exact distribution, and one by one against the sampler of the host.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "graph/runtime.hpp"
#include "infer/sampler.hpp"
#include "ops/op_table.hpp"
#include "support/device_main.hpp"

namespace fabula::test {
namespace {
using namespace graph;
using infer::SamplerOptions;

constexpr std::uint32_t kPosition = 41;  // of the tokens that are drawn
constexpr std::uint32_t kRingLength = 2;

/// The op alone; row r is slot r.
class SampledRows {
 public:
  SampledRows(std::int64_t rows, std::int64_t vocabulary)
      : rows_(rows), vocabulary_(vocabulary), runtime_(device(), workload()) {
    std::vector<std::uint32_t> places;
    for (std::uint32_t r = 0; r < rows; ++r) places.insert(places.end(), {r, kPosition - 1, 1, 0});
    runtime_.set_input(0, "places", std::span<const std::uint32_t>(places));
  }

  void set_log_probs(const std::vector<float>& of_a_row) { runtime_.upload("log_probs", repeated(of_a_row)); }

  /// A token a row, row r with seed first_seed + r.
  std::vector<std::uint32_t> draw(const SamplerOptions& options, const std::vector<std::uint32_t>& counts,
                                  std::uint64_t first_seed) {
    std::vector<std::uint32_t> slots(static_cast<std::size_t>(rows_) * kSlotWords);
    for (std::size_t r = 0; r < static_cast<std::size_t>(rows_); ++r) {
      const std::span<std::uint32_t> slot(slots.data() + r * kSlotWords, kSlotWords);
      SamplerOptions own = options;
      own.seed = first_seed + r;
      infer::set_sampling(slot, own);
      slot[kSlotLive] = 1;
      slot[kSlotPosition] = kPosition - 1;
      slot[kSlotEnd] = 1000;
      std::fill_n(slot.begin() + kSlotStops, kMostStops, kNoToken);
    }
    std::vector<float> bias(static_cast<std::size_t>(vocabulary_));
    for (const auto& [id, added] : options.logit_bias) bias[id] = static_cast<float>(added);
    runtime_.upload("slots", std::span<const std::uint32_t>(slots));
    runtime_.upload("counts", std::span<const std::uint32_t>(repeated(counts)));
    runtime_.upload("bias", repeated(bias));
    runtime_.submit({0});
    runtime_.download("slots", slots);
    std::vector<std::uint32_t> tokens;
    for (std::size_t r = 0; r < static_cast<std::size_t>(rows_); ++r) {
      tokens.push_back(slots[r * kSlotWords + kSlotToken]);
      EXPECT_EQ(slots[r * kSlotWords + kSlotArrived], 0u) << "the next pass counts from here";
    }
    return tokens;
  }

 private:
  template <class T>
  std::vector<T> repeated(const std::vector<T>& row) const {
    std::vector<T> all;
    for (std::int64_t r = 0; r < rows_; ++r) all.insert(all.end(), row.begin(), row.end());
    return all;
  }
  Workload workload() const {
    Graph graph(ops::op_table());
    const auto words = [&](const char* name, std::int64_t rows, std::int64_t cols) {
      return graph.state(name, {rows, cols, DType::kU32});
    };
    const Value log_probs = graph.state("log_probs", {rows_, vocabulary_});
    graph.op("sample_tokens",
             {log_probs, words("slots", rows_, kSlotWords), words("counts", rows_, vocabulary_),
              graph.state("bias", {rows_, vocabulary_}), graph.input("places", {1, kPlaceWords * rows_}, DType::kU32),
              words("ring", rows_ * kRingLength, kRingWords)},
             {{"ring", kRingLength}});
    Workload result(device().profile());
    result.add("sample", std::move(graph));
    return result;
  }

  std::int64_t rows_, vocabulary_;
  Runtime runtime_;
};

struct Sampling {
  std::string name;
  SamplerOptions options;
};
std::vector<Sampling> samplings() {
  const SamplerOptions plain{.temperature = 1};
  const auto with = [&](auto change) {
    SamplerOptions options = plain;
    change(options);
    return options;
  };
  const std::vector<std::pair<std::uint32_t, double>> biases{{0, 2.5}, {3, -1}, {11, -1e30}, {20, 4}, {36, -0.5}};
  return {{"greedy", {.temperature = 0}},
          {"temperature 0.7", {.temperature = 0.7}},
          {"temperature 1.3", {.temperature = 1.3}},
          {"top-k", with([](auto& o) { o.top_k = 5; })},
          {"top-p", with([](auto& o) { o.top_p = 0.9; })},
          {"min-p", with([](auto& o) { o.min_p = 0.05; })},
          {"repetition", with([](auto& o) { o.repetition_penalty = 1.5; })},
          {"presence", with([](auto& o) { o.presence_penalty = 1.2; })},
          {"frequency", with([](auto& o) { o.frequency_penalty = 0.4; })},
          {"bias", with([&](auto& o) { o.logit_bias = biases; })},
          {"mixed",
           {.temperature = 1.2,
            .top_k = 20,
            .top_p = 0.95,
            .min_p = 0.01,
            .repetition_penalty = 1.2,
            .presence_penalty = 0.3,
            .frequency_penalty = 0.2,
            .logit_bias = biases}}};
}

std::vector<float> random_log_probs(std::int64_t vocabulary, double spread) {
  Philox random(17);
  std::vector<double> logits;
  double sum = 0;
  for (std::int64_t v = 0; v < vocabulary; ++v) sum += std::exp(logits.emplace_back(spread * random.normal()));
  std::vector<float> result;
  for (const double logit : logits) result.push_back(static_cast<float>(logit - std::log(sum)));
  return result;
}

/// A third of the tokens came before, half of these in the prompt.
std::vector<std::uint32_t> random_counts(std::int64_t vocabulary) {
  Philox random(18);
  std::vector<std::uint32_t> counts(static_cast<std::size_t>(vocabulary));
  for (std::uint32_t& count : counts)
    if (random.below(3) == 0) count = random.below(2) == 0 ? kInPrompt : 1 + random.below(3);
  return counts;
}

/// How far the draws are from what the probabilities let expect, in standard deviations of chi-squared. Tokens of which
/// fewer than ten are expected are counted together.
double chi_squared_excess(const std::vector<std::uint32_t>& tokens, const std::vector<double>& probabilities) {
  std::vector<double> counted(probabilities.size());
  for (const std::uint32_t token : tokens) ++counted[token];
  double sum = 0, rest_counted = 0, rest_expected = 0;
  int cells = 0;
  const auto add = [&](double count, double expected) {
    sum += (count - expected) * (count - expected) / expected;
    ++cells;
  };
  for (std::size_t v = 0; v < probabilities.size(); ++v) {
    const double expected = probabilities[v] * static_cast<double>(tokens.size());
    if (expected >= 10) {
      add(counted[v], expected);
    } else {
      rest_counted += counted[v];
      rest_expected += expected;
    }
  }
  if (rest_expected >= 10) add(rest_counted, rest_expected);
  return cells > 1 ? (sum - (cells - 1)) / std::sqrt(2.0 * (cells - 1)) : 0;
}

/// Draws many tokens with every setting and compares them with the exact distribution: as a whole, and each with the
/// interval of running sums that it has in it. The device's running sums are off by what a log-probability is as fp32.
void compare_draws(std::int64_t vocabulary, double spread, std::size_t draws) {
  constexpr std::int64_t kRows = 256;
  constexpr double kSumError = 3e-6, kMostExcess = 5;
  SampledRows rows(kRows, vocabulary);
  const std::vector<float> log_probs = random_log_probs(vocabulary, spread);
  const std::vector<std::uint32_t> counts = random_counts(vocabulary);
  rows.set_log_probs(log_probs);
  for (const Sampling& sampling : samplings()) {
    const std::vector<double> probabilities = infer::probabilities(log_probs, sampling.options, counts);
    std::vector<double> sums{0};
    for (const double p : probabilities) sums.push_back(sums.back() + p);
    std::vector<std::uint32_t> tokens;
    std::size_t others = 0;
    while (tokens.size() < draws) {
      const std::uint64_t first_seed = 1000 + tokens.size();
      const std::vector<std::uint32_t> drawn = rows.draw(sampling.options, counts, first_seed);
      for (std::size_t r = 0; r < drawn.size(); ++r) {
        const double u = infer::draw_at(first_seed + r, kPosition);
        ASSERT_LT(drawn[r], probabilities.size()) << sampling.name;
        EXPECT_GT(probabilities[drawn[r]], 0) << sampling.name << ": token " << drawn[r];
        EXPECT_GE(u, sums[drawn[r]] - kSumError) << sampling.name << ": token " << drawn[r];
        EXPECT_LT(u, sums[drawn[r] + 1] + kSumError) << sampling.name << ": token " << drawn[r];
        if (r % 16 == 0) others += drawn[r] != infer::sample(log_probs, sampling.options, u, counts);
      }
      tokens.insert(tokens.end(), drawn.begin(), drawn.end());
    }
    EXPECT_LE(others, 1u) << sampling.name;
    EXPECT_LT(chi_squared_excess(tokens, probabilities), kMostExcess) << sampling.name;
  }
}

TEST(SampleTokens, DrawsByTheExactDistribution37) {
  compare_draws(37, 2, 4096);
}
TEST(SampleTokens, DrawsByTheExactDistribution5000) {
  if (test::thin()) GTEST_SKIP() << "drawn on a driver with its own limits alone";
  compare_draws(5000, 3, 2048);
}

TEST(SampleTokens, ARowAloneDrawsWhatItDoesInCompany) {
  constexpr std::int64_t kVocabulary = 3001;
  const std::vector<float> log_probs = random_log_probs(kVocabulary, 2);
  const std::vector<std::uint32_t> counts = random_counts(kVocabulary);
  SampledRows many(33, kVocabulary), one(1, kVocabulary);
  many.set_log_probs(log_probs);
  one.set_log_probs(log_probs);
  for (const Sampling& sampling : samplings()) {
    const std::vector<std::uint32_t> tokens = many.draw(sampling.options, counts, 500);
    EXPECT_EQ(many.draw(sampling.options, counts, 500), tokens) << sampling.name << ": the same seeds";
    for (const std::uint32_t r : {0, 7, 32})
      EXPECT_EQ(one.draw(sampling.options, counts, 500 + r).front(), tokens[r]) << sampling.name << ": row " << r;
  }
}

TEST(SampleTokens, AChiSquaredTestCanFail) {
  const std::vector<double> even(20, 0.05);
  std::vector<std::uint32_t> tokens(4000);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::uint32_t>(i % 20);
  EXPECT_LT(chi_squared_excess(tokens, even), 5);
  for (std::size_t i = 0; i < 80; ++i) tokens[20 * i] = 7;  // a token drawn 1.4 times as often, another 0.6 times
  EXPECT_GT(chi_squared_excess(tokens, even), 5);
}

}  // namespace
}  // namespace fabula::test
