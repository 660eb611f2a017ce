// Training on thread ranks is training in one process: the same bits, whatever their number.
#include <gtest/gtest.h>

#include <atomic>

#include "cluster/run_ranks.hpp"
#include "train/training.hpp"

namespace fabula::train {
namespace {
using test::RankEnd;
using test::run_ranks;
using Overrides = std::vector<std::string>;

class TrainingOnRanks : public Training {
 protected:
  static Overrides with(Overrides overrides, const Overrides& more) {
    overrides.insert(overrides.end(), more.begin(), more.end());
    return overrides;
  }

  /// What a rank is asked after each step: whether it wants to stop.
  using Asked = std::function<bool(Reducer&)>;

  std::unique_ptr<vk::Device> device_of_rank() const {
    return vk::Device::open({.device = {}, .cache_dir = path("cache").string()});
  }

  std::vector<RankEnd> train_on(int ranks, const std::string& run, const Overrides& overrides,
                                const Asked& asked = {}) const {
    RunConfig config = parse_config(kConfig, "config", overrides);
    RunFolder own(path(run));
    const DataSet data = open_data({.data = {}, .valid = {}, .tokenizer = {}, .corpus_seed = 1, .corpus_stories = 40},
                                   config, own.path());
    return run_ranks(ranks, [&](Reducer& reducer) {
      const auto device = device_of_rank();
      std::optional<RunFolder> others;
      if (!reducer.leads()) others.emplace(own.path(), RunFolder::OfAnother());
      TrainOptions options{.resume = Resume::kAuto};
      options.reducer = &reducer;
      if (asked) options.stop_requested = [&] { return asked(reducer); };
      Trainer(*device, config, data, others ? *others : own, options).run();
    });
  }

  void train_alone(const std::string& run, const Overrides& overrides) const {
    train(*device_of_rank(), run, {.resume = Resume::kAuto}, overrides);
  }

  void expect_same(const std::string& run, const std::string& other) const {
    for (const char* file : {"model.safetensors", "optimizer.safetensors"})
      EXPECT_TRUE(bytes_of(path(run) / file) == bytes_of(path(other) / file)) << run << ": " << file;
    EXPECT_EQ(losses(run), losses(other));
    EXPECT_EQ(values(run, kTrainRecord, "grad_norm"), values(other, kTrainRecord, "grad_norm"));
    EXPECT_EQ(values(run, kEvalRecord, "loss"), values(other, kEvalRecord, "loss"));
    EXPECT_FALSE(losses(run).empty());
  }

  static void expect_good(const std::vector<RankEnd>& ends) {
    for (const RankEnd& end : ends) EXPECT_EQ(end.error, "");
  }
};

const Overrides kShort{"train.steps=4", "train.save_every=2", "train.eval_every=2"};

TEST_F(TrainingOnRanks, ComputesTheSameBitsForEveryHead) {
  int heads = 0;
  for (const Overrides& head :
       {Overrides{"head.kind=grouped", "head.modulation=low_rank", "head.rank=4"},
        Overrides{"head.kind=grouped", "head.modulation=per_group"}, Overrides{"head.kind=full"},
        Overrides{"head.kind=fused"}, Overrides{"head.kind=adaptive"}}) {
    SCOPED_TRACE(head.back());
    const std::string name = "head" + std::to_string(++heads);
    const Overrides overrides = with(with(kShort, {"train.steps=2", "train.grad_accumulation=2"}), head);
    train_alone(name, overrides);
    expect_good(train_on(2, name + "-2", overrides));
    expect_same(name + "-2", name);
  }
}

TEST_F(TrainingOnRanks, ComputesTheSameBitsWhateverTheirNumber) {
  const Overrides overrides = with(kShort, {"train.grad_accumulation=8", "train.batch_size=1"});
  train_alone("one", overrides);
  for (const int ranks : {2, 4}) {
    const std::string name = std::to_string(ranks);
    expect_good(train_on(ranks, name, overrides));
    expect_same(name, "one");
  }
}

TEST_F(TrainingOnRanks, ComputesTheSameBitsInFp16) {
  const Overrides overrides = with(kShort, {"train.grad_accumulation=4", "train.batch_size=1", "train.precision=fp16"});
  train_alone("one", overrides);
  expect_good(train_on(4, "four", overrides));
  expect_same("four", "one");
}

TEST_F(TrainingOnRanks, AStopOnOneStopsAllAndAnyNumberGoesOn) {
  const Overrides overrides{"train.grad_accumulation=4", "train.batch_size=1", "train.steps=7", "train.eval_every=0"};
  train_alone("whole", overrides);
  std::atomic<int> asked = 0;
  expect_good(train_on(2, "run", overrides, [&](Reducer& rank) { return rank.rank() == 1 && ++asked == 2; }));
  EXPECT_EQ(RunFolder(path("run")).read_state().step, 2);
  // Rank 3 fails after a checkpoint: what it had computed since is lost, the checkpoint is whole.
  asked = 0;
  const std::vector<RankEnd> ends = train_on(4, "run", overrides, [&](Reducer& rank) -> bool {
    if (rank.rank() == 3 && ++asked == 4) throw Error(ErrorCode::kDeviceLost, "the device stopped answering");
    return false;
  });
  for (std::size_t r = 0; r < 3; ++r) {
    EXPECT_EQ(ends[r].code, ErrorCode::kPeer);
    EXPECT_NE(ends[r].error.find("rank 3: the device stopped answering"), std::string::npos) << ends[r].error;
  }
  EXPECT_EQ(ends[3].code, ErrorCode::kDeviceLost);
  EXPECT_EQ(RunFolder(path("run")).read_state().step, 4);
  expect_good(train_on(1, "run", with(overrides, {"train.steps=7"}), [&](Reducer&) { return ++asked == 5; }));
  expect_good(train_on(2, "run", overrides));
  expect_same("run", "whole");
}

TEST_F(TrainingOnRanks, ANumberThatIsNoneEndsAllWithTheSameMessage) {
  const std::vector<RankEnd> ends =
      train_on(2, "run",
               {"train.grad_accumulation=2", "train.learning_rate=10", "train.weight_decay=10", "train.warmup_steps=0",
                "train.min_lr_ratio=1", "train.clip_norm=0", "train.steps=60", "train.eval_every=0"});
  for (const RankEnd& end : ends) {
    EXPECT_EQ(end.code, ErrorCode::kNumeric);
    EXPECT_EQ(end.error, ends.front().error);
    EXPECT_NE(end.error.find("step "), std::string::npos) << end.error;
  }
}

TEST_F(TrainingOnRanks, BatchesThatDoNotDivideAreRefused) {
  for (const RankEnd& end : train_on(2, "run", {"train.grad_accumulation=3", "train.batch_size=2"})) {
    EXPECT_EQ(end.code, ErrorCode::kInvalidArgument);
    EXPECT_NE(end.error.find("--set train.batch_size=1 --set train.grad_accumulation=6"), std::string::npos)
        << end.error;
  }
  EXPECT_FALSE(std::filesystem::exists(path("run") / "metrics.jsonl"));
}

}  // namespace
}  // namespace fabula::train
