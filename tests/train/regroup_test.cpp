// What a class-based head's numbers become under another map, against the definitions.
#include "train/regroup.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/philox.hpp"
#include "maps/build_token_map.hpp"

namespace fabula::train {
namespace {

constexpr std::size_t kVocabulary = 43, kShortlist = 3, kGroups = 5, kSlots = 11, kHidden = 6;

std::vector<float> random_numbers(std::size_t n, std::uint64_t seed, double scale = 1) {
  Philox random(seed);
  std::vector<float> numbers(n);
  for (float& number : numbers) number = static_cast<float>(scale * random.normal());
  return numbers;
}

/// Groups of 4 to 11 tokens.
TokenMap random_map(std::uint64_t seed) {
  std::vector<std::uint32_t> tokens(kVocabulary - kShortlist);
  std::iota(tokens.begin(), tokens.end(), std::uint32_t{kShortlist});
  Philox random(seed);
  for (std::size_t left = tokens.size(); left > 1; --left)
    std::swap(tokens[left - 1], tokens[random.below(static_cast<std::uint32_t>(left))]);
  TokenMap map{.shortlist = {2, 0, 1}, .groups = {}};
  std::size_t at = 0;
  for (const std::size_t size : {11, 4, 9, 10, 6}) {
    map.groups.emplace_back(tokens.begin() + std::ptrdiff_t(at), tokens.begin() + std::ptrdiff_t(at + size));
    at += size;
  }
  return map;
}

std::vector<std::uint64_t> random_counts() {
  Philox random(9);
  std::vector<std::uint64_t> counts(kVocabulary);
  for (std::uint64_t& count : counts) count = random.below(4) == 0 ? 0 : random.below(500);
  return counts;
}

GroupNumbers random_model(bool class_input) {
  return {.hidden = kHidden,
          .slots = kSlots,
          .class_input = class_input,
          .rows = random_numbers(kVocabulary * kHidden, 1),
          .vectors = random_numbers(kGroups * kHidden, 2),
          .bias = random_numbers(kShortlist + kGroups, 3, 3),
          .shift = random_numbers(kGroups * kSlots, 4, 3)};
}

double log_sum(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::exp(value);
  return std::log(sum);
}

struct LogProbs {
  std::vector<double> joint, within;  ///< by token; `within` 0 in the shortlist
};
/// The head's definition: two softmaxes.
LogProbs log_probs(const GroupNumbers& model, const TokenMap& map, const std::vector<double>& h) {
  const auto times_h = [&](const std::vector<float>& rows, std::size_t row) {
    double sum = 0;
    for (std::size_t d = 0; d < kHidden; ++d) sum += h[d] * rows[row * kHidden + d];
    return sum;
  };
  std::vector<double> classes;
  for (std::size_t k = 0; k < kShortlist; ++k) classes.push_back(times_h(model.rows, map.shortlist[k]) + model.bias[k]);
  for (std::size_t g = 0; g < kGroups; ++g) classes.push_back(times_h(model.vectors, g) + model.bias[kShortlist + g]);
  const double normaliser = log_sum(classes);
  LogProbs result{std::vector<double>(kVocabulary), std::vector<double>(kVocabulary)};
  for (std::size_t k = 0; k < kShortlist; ++k) result.joint[map.shortlist[k]] = classes[k] - normaliser;
  for (std::size_t g = 0; g < kGroups; ++g) {
    std::vector<double> slots;
    for (std::size_t s = 0; s < map.groups[g].size(); ++s)
      slots.push_back(times_h(model.rows, map.groups[g][s]) + model.shift[g * kSlots + s]);
    for (std::size_t s = 0; s < slots.size(); ++s) {
      const std::uint32_t token = map.groups[g][s];
      result.within[token] = slots[s] - log_sum(slots);
      result.joint[token] = classes[kShortlist + g] - normaliser + result.within[token];
    }
  }
  return result;
}

const std::vector<double> kZero(kHidden, 0);

TEST(Regroup, WhatTheModelReadsAndPredictsStays) {
  const TokenMap from = random_map(1), to = random_map(2);
  const auto counts = random_counts();
  for (const bool class_input : {true, false}) {
    const GroupNumbers before = random_model(class_input);
    GroupNumbers after = before;
    move_weights(from, to, counts, after);
    const std::vector<float> read = input_rows(before, from), read_after = input_rows(after, to);
    for (std::size_t i = 0; i < read.size(); ++i) EXPECT_NEAR(read_after[i], read[i], 2e-6) << i;
    EXPECT_EQ(after.rows == before.rows, !class_input);
    EXPECT_NE(after.vectors, before.vectors);
    const LogProbs then = log_probs(before, from, kZero), now = log_probs(after, to, kZero);
    for (std::size_t v = 0; v < kVocabulary; ++v) EXPECT_NEAR(now.joint[v], then.joint[v], 1e-5) << v;
    for (std::size_t k = 0; k < kShortlist; ++k) EXPECT_EQ(after.bias[k], before.bias[k]);
    for (std::size_t g = 0; g < kGroups; ++g)
      for (std::size_t s = to.groups[g].size(); s < kSlots; ++s) EXPECT_EQ(after.shift[g * kSlots + s], 0);
  }
}

// Whatever the hidden vector: what a class vector gives to two tokens of one group, it gives to both alike.
TEST(Regroup, TokensThatStayTogetherKeepTheirOdds) {
  const TokenMap from = random_map(1), to = random_map(2);
  const GroupNumbers before = random_model(true);
  GroupNumbers after = before;
  move_weights(from, to, random_counts(), after);
  const std::vector<double> h{0.4, -1, 2, 0.3, -0.7, 1.1};
  const LogProbs then = log_probs(before, from, h), now = log_probs(after, to, h);
  int pairs = 0;
  for (const auto& old : from.groups)
    for (const auto& group : to.groups) {
      std::vector<std::uint32_t> together;
      for (const std::uint32_t token : group)
        if (std::find(old.begin(), old.end(), token) != old.end()) together.push_back(token);
      for (std::size_t i = 1; i < together.size(); ++i, ++pairs)
        EXPECT_NEAR(now.within[together[i]] - now.within[together[0]],
                    then.within[together[i]] - then.within[together[0]], 1e-4);
    }
  EXPECT_GT(pairs, 10);
}

// By what its tokens' old groups had, and what set them apart there.
TEST(Regroup, AGroupsVectorIsThatOfItsTokens) {
  const TokenMap from = random_map(1), to = random_map(2);
  const auto counts = random_counts();
  const GroupNumbers before = random_model(true);
  GroupNumbers after = before;
  move_weights(from, to, counts, after);
  const auto mean_of = [&](const std::vector<std::uint32_t>& tokens, std::size_t d, const auto& number) {
    double sum = 0, total = 0;
    for (const std::uint32_t token : tokens) {
      sum += (double(counts[token]) + 1) * number(token, d);
      total += double(counts[token]) + 1;
    }
    return sum / total;
  };
  const auto row = [&](std::uint32_t token, std::size_t d) { return double{before.rows[token * kHidden + d]}; };
  const auto told = [&](std::uint32_t token, std::size_t d) {
    std::size_t g = 0;
    while (std::find(from.groups[g].begin(), from.groups[g].end(), token) == from.groups[g].end()) ++g;
    return before.vectors[g * kHidden + d] + 0.5 * (row(token, d) - mean_of(from.groups[g], d, row));
  };
  for (std::size_t g = 0; g < kGroups; ++g)
    for (std::size_t d = 0; d < kHidden; ++d)
      EXPECT_NEAR(after.vectors[g * kHidden + d], mean_of(to.groups[g], d, told), 1e-5) << g << " " << d;
}

TEST(Regroup, TheSameMapChangesNothing) {
  const TokenMap map = random_map(1);
  for (const bool class_input : {true, false}) {
    const GroupNumbers before = random_model(class_input);
    GroupNumbers after = before;
    move_weights(map, map, random_counts(), after);
    for (std::size_t i = 0; i < before.vectors.size(); ++i) EXPECT_NEAR(after.vectors[i], before.vectors[i], 2e-6);
    for (std::size_t i = 0; i < before.rows.size(); ++i) EXPECT_NEAR(after.rows[i], before.rows[i], 2e-6);
    for (std::size_t i = 0; i < before.bias.size(); ++i) EXPECT_NEAR(after.bias[i], before.bias[i], 1e-5);
    const LogProbs then = log_probs(before, map, kZero), now = log_probs(after, map, kZero);
    for (std::size_t v = 0; v < kVocabulary; ++v) EXPECT_NEAR(now.within[v], then.within[v], 1e-5);
  }
}

TEST(Regroup, MomentsGoWithTheTokens) {
  const TokenMap from = random_map(1), to = random_map(2);
  const auto counts = random_counts();
  GroupNumbers before = random_model(true);
  before.rows.clear();
  for (auto* numbers : {&before.vectors, &before.bias, &before.shift})
    for (float& number : *numbers) number *= number;
  GroupNumbers after = before;
  move_moments(from, to, counts, after);
  std::vector<std::pair<std::size_t, std::size_t>> old_place(kVocabulary);
  for (std::size_t g = 0; g < kGroups; ++g)
    for (std::size_t s = 0; s < from.groups[g].size(); ++s) old_place[from.groups[g][s]] = {g, s};
  for (std::size_t g = 0; g < kGroups; ++g) {
    double weight = 0, bias = 0, vector = 0;
    for (std::size_t s = 0; s < kSlots; ++s) {
      if (s >= to.groups[g].size()) {
        EXPECT_EQ(after.shift[g * kSlots + s], 0);
        continue;
      }
      const std::uint32_t token = to.groups[g][s];
      const auto [old, slot] = old_place[token];
      EXPECT_EQ(after.shift[g * kSlots + s], before.shift[old * kSlots + slot]);
      const double count = double(counts[token]) + 1;
      weight += count;
      bias += count * before.bias[kShortlist + old];
      vector += count * before.vectors[old * kHidden + 2];
    }
    EXPECT_NEAR(after.bias[kShortlist + g], bias / weight, 1e-5);
    EXPECT_NEAR(after.vectors[g * kHidden + 2], vector / weight, 1e-5);
  }
  for (const auto* numbers : {&after.vectors, &after.bias, &after.shift})
    for (const float number : *numbers) EXPECT_GE(number, 0);
}

/// Rows about one direction for each group of a map.
std::vector<float> rows_about(const TokenMap& map) {
  std::vector<float> rows = random_numbers(kVocabulary * kHidden, 5, 0.05);
  for (std::size_t g = 0; g < kGroups; ++g)
    for (const std::uint32_t token : map.groups[g]) rows[token * kHidden + g] += 1;
  for (float& number : rows) number += 10;  // as embeddings often share a large vector
  return rows;
}

TEST(Regroup, FindsGroupsWithinTheCapAndKeepsTheirNumbers) {
  const TokenMap from = random_map(1), hidden = random_map(2);
  auto counts = random_counts();
  for (std::uint64_t& count : counts) ++count;
  const RegroupOptions options{.hidden = kHidden, .slots = kSlots, .seed = 3};
  const TokenMap found = regroup(from, rows_about(hidden), counts, options);
  check_token_map(found, kVocabulary, "found");
  EXPECT_EQ(found.shortlist, from.shortlist);
  for (const auto& group : found.groups) EXPECT_LE(group.size(), kSlots);
  EXPECT_GT(moved(from, found, counts).tokens, 0.3);
  EXPECT_LT(moved(from, found, counts).tokens, 0.9);
  // Tokens of one hidden group are together, but for the one or two beyond the balanced size.
  std::size_t together = 0;
  for (const auto& group : found.groups) {
    std::size_t most = 0;
    for (const auto& of : hidden.groups)
      most =
          std::max(most, static_cast<std::size_t>(std::count_if(group.begin(), group.end(), [&](std::uint32_t token) {
                     return std::find(of.begin(), of.end(), token) != of.end();
                   })));
    together += most;
  }
  EXPECT_GE(together, kVocabulary - kShortlist - 2);
  for (const std::size_t threads : {1, 3}) {
    RegroupOptions other = options;
    other.threads = threads;
    EXPECT_EQ(regroup(from, rows_about(hidden), counts, other), found);
  }
  const TokenMap again = regroup(found, rows_about(hidden), counts, options);
  const Moved none = moved(found, again, counts);
  EXPECT_EQ(none.tokens, 0);
  EXPECT_EQ(none.text, 0);
}

TEST(Regroup, GroupsByMassStaySo) {
  std::vector<std::uint64_t> counts(kVocabulary);
  for (std::size_t v = 0; v < kVocabulary; ++v) counts[v] = 1000 / (v + 1);
  const TokenMap from = maps::build_token_map(
      {.kind = GroupMap::kRandom, .shortlist = kShortlist, .groups = 6, .sizes = GroupSizes::kMass, .seed = 4}, counts);
  std::size_t largest = 0;
  for (const auto& group : from.groups) largest = std::max(largest, group.size());
  const RegroupOptions options{.hidden = kHidden, .slots = static_cast<std::int64_t>(largest), .seed = 5};
  const std::vector<float> rows = random_numbers(kVocabulary * kHidden, 6);
  const TokenMap once = regroup(from, rows, counts, options);
  const TokenMap twice = regroup(once, random_numbers(kVocabulary * kHidden, 7), counts, options);
  for (const TokenMap& to : {once, twice}) {
    EXPECT_GT(moved(from, to, counts).tokens, 0.1);
    ASSERT_EQ(to.shares.size(), to.groups.size());
    std::size_t at = 0;
    for (const SizeBand& band : mass_bands(kShortlist, kVocabulary, 6)) {
      std::size_t tokens = 0;
      for (std::int64_t g = 0; g < band.groups; ++g, ++at) {
        EXPECT_LE(to.groups[at].size(), std::min<std::size_t>(largest, static_cast<std::size_t>(band.slots)));
        tokens += to.groups[at].size();
        double share = 0;
        for (const std::uint32_t token : to.groups[at]) share += double(counts[token]);
        EXPECT_NEAR(to.shares[at], share / double(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0})),
                    1e-9);
      }
      EXPECT_EQ(tokens, static_cast<std::size_t>(band.tokens));
    }
  }
}

}  // namespace
}  // namespace fabula::train
