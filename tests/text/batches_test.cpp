#include "text/batches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/atomic_file.hpp"
#include "expect_error.hpp"
#include "temp_dir.hpp"
#include "text/fixture.hpp"

namespace fabula::text {
namespace {

/// Token files of 'a' and 'b' in a pattern that tells every place apart, `documents` of them.
class BatchesTest : public testing::Test {
 protected:
  TokenFile tokens(size_t length) {
    std::string text;
    for (size_t i = 0; i + 1 < length; ++i) text += "QZXJ7#"[i * i % 6];  // never merged: one token each
    write_file_atomically(folder_ / "a.txt", text);
    prepare_token_file(std::vector{folder_ / "a.txt"}, tokenizer_, folder_ / "a.tokens");
    TokenFile file(folder_ / "a.tokens");
    EXPECT_EQ(file.size(), length);
    return file;
  }

  test::TempDir folder_;
  Tokenizer tokenizer_ = test::small_tokenizer();
};

TEST_F(BatchesTest, LabelsAreTheNextTokens) {
  const TokenFile file = tokens(101);
  const BatchSource source(file, 3, 7, 42);
  EXPECT_EQ(source.windows(), 14u);
  EXPECT_EQ(source.batches_per_epoch(), 5u);
  for (uint64_t index = 0; index < 12; ++index) {
    const Batch batch = source.batch(index);
    ASSERT_EQ(batch.ids.size(), 21u);
    ASSERT_EQ(batch.labels.size(), 21u);
    for (uint64_t row = 0; row < 3; ++row) {
      const uint64_t sample = index * 3 + row, window = source.window_at(sample / 14, sample % 14);
      for (uint64_t t = 0; t < 7; ++t) {
        EXPECT_EQ(batch.ids[row * 7 + t], file[window * 7 + t]);
        EXPECT_EQ(batch.labels[row * 7 + t], file[window * 7 + t + 1]);
      }
    }
  }
}

TEST_F(BatchesTest, EveryEpochIsAnotherPermutation) {
  for (const size_t length : {8u, 15u, 22u, 100u, 1000u, 2101u}) {
    const TokenFile file = tokens(length);
    const BatchSource source(file, 1, 7, 9);
    std::set<std::vector<uint64_t>> orders;
    for (uint64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<uint64_t> order;
      for (uint64_t place = 0; place < source.windows(); ++place) order.push_back(source.window_at(epoch, place));
      orders.insert(order);
      std::sort(order.begin(), order.end());
      for (uint64_t i = 0; i < order.size(); ++i) ASSERT_EQ(order[i], i) << length;
    }
    if (source.windows() > 10) {
      EXPECT_EQ(orders.size(), 3u) << length;
    }
  }
}

TEST_F(BatchesTest, OrderIsShuffledWithoutATrend) {
  const TokenFile file = tokens(7001);
  const BatchSource source(file, 1, 7, 1);
  const auto windows = static_cast<int64_t>(source.windows());
  int64_t near = 0, displacement = 0;
  for (int64_t place = 0; place < windows; ++place) {
    const auto window = static_cast<int64_t>(source.window_at(0, static_cast<uint64_t>(place)));
    near += std::abs(window - place) < 10;
    displacement += std::abs(window - place);
  }
  EXPECT_LT(near, windows / 20);  // 2 % are expected
  EXPECT_NEAR(static_cast<double>(displacement) / static_cast<double>(windows), static_cast<double>(windows) / 3,
              static_cast<double>(windows) / 20);
}

TEST_F(BatchesTest, IsAPureFunctionOfSeedAndIndex) {
  const TokenFile file = tokens(500);
  const BatchSource source(file, 2, 9, 7), again(file, 2, 9, 7), other(file, 2, 9, 8);
  Batch reused;
  for (const uint64_t index : {17ull, 0ull, 123456789012ull, 17ull}) {
    source.read(index, reused);
    EXPECT_EQ(reused.ids, again.batch(index).ids);
    EXPECT_EQ(reused.labels, again.batch(index).labels);
  }
  bool differs = false;
  for (uint64_t index = 0; index < 10; ++index) differs |= source.batch(index).ids != other.batch(index).ids;
  EXPECT_TRUE(differs);
  EXPECT_DOUBLE_EQ(source.epoch(55), 2.0);  // 55 windows in an epoch
}

TEST_F(BatchesTest, TheOrderNeverChangesBetweenVersions) {
  // A resumed run reads on where it stopped, also with a newer program.
  const TokenFile file = tokens(71);
  const BatchSource source(file, 1, 7, 1234);
  std::vector<uint64_t> order;
  for (uint64_t place = 0; place < 10; ++place) order.push_back(source.window_at(2, place));
  EXPECT_EQ(order, (std::vector<uint64_t>{9, 2, 5, 6, 1, 0, 7, 3, 4, 8}));
}

TEST_F(BatchesTest, SequentialCoversTheFileAndPadsTheEnd) {
  for (const size_t length : {2u, 7u, 8u, 9u, 22u, 100u}) {
    const TokenFile file = tokens(length);
    const BatchSource source(file, 2, 7, 0, BatchSource::Order::kSequential);
    std::vector<uint32_t> ids, labels;
    for (uint64_t index = 0; index < source.batches_per_epoch(); ++index) {
      const Batch batch = source.batch(index);
      for (size_t i = 0; i < batch.labels.size(); ++i) {
        EXPECT_LT(batch.ids[i], file.vocab_size());
        if (batch.labels[i] == kIgnoredLabel) continue;
        ids.push_back(batch.ids[i]);
        labels.push_back(batch.labels[i]);
      }
    }
    std::vector<uint32_t> all(file.size());
    file.read(0, all);
    EXPECT_EQ(ids, std::vector<uint32_t>(all.begin(), all.end() - 1));
    EXPECT_EQ(labels, std::vector<uint32_t>(all.begin() + 1, all.end()));
    test::expect_error(ErrorCode::kInvalidArgument, {"a.tokens"}, [&] { source.batch(source.batches_per_epoch()); });
  }
}

TEST_F(BatchesTest, TooFewTokensAreErrors) {
  EXPECT_EQ(BatchSource(tokens(2), 1, 7, 0, BatchSource::Order::kSequential).windows(), 1u);
  const TokenFile file = tokens(7);
  test::expect_error(ErrorCode::kInvalidArgument, {"a.tokens", "7 tokens", "at least 8"},
                     [&] { BatchSource(file, 1, 7, 0); });
  EXPECT_EQ(BatchSource(file, 1, 6, 0).windows(), 1u);
  test::expect_error(ErrorCode::kInvalidArgument, {"0 sequences"}, [&] { BatchSource(file, 0, 7, 0); });
  test::expect_error(ErrorCode::kInvalidArgument, {"0 tokens"}, [&] { BatchSource(file, 1, 0, 0); });
}

}  // namespace
}  // namespace fabula::text
