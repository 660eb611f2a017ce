// A run that diverges goes on from where it was well.
#include <cmath>

#include "expect_error.hpp"
#include "formats/report.hpp"
#include "train/training.hpp"

namespace fabula::train {
namespace {

/// A decay of 99 times the weight a step: the loss is huge a step later, the weights leave float's range some twenty
/// later.
const std::vector<std::string> kRuin{"train.learning_rate=10", "train.weight_decay=10", "train.warmup_steps=0",
                                     "train.min_lr_ratio=1",   "train.clip_norm=0",     "train.steps=60",
                                     "train.eval_every=0"};

std::vector<std::string> ruin(const std::string& more) {
  std::vector<std::string> result = kRuin;
  result.push_back(more);
  return result;
}

class Divergence : public Training {
 protected:
  void SetUp() override { train(*open_device(), "run", {}, {"train.steps=8"}); }
  std::map<std::string, std::string> checkpoint(const std::string& folder) const {
    std::map<std::string, std::string> result;
    for (const char* name : {"model.safetensors", "optimizer.safetensors", "state.json", "config.json",
                             "tokenizer.json", "token_groups.json"})
      result[name] = bytes_of(path(folder) / name);
    return result;
  }
  void expect_ruin(const std::vector<std::string>& overrides, const std::vector<std::string>& parts) const {
    test::expect_error(ErrorCode::kNumeric, parts, [&] { resume("run", overrides); });
  }
  std::int64_t step_of(const std::string& folder) const { return read_run_state(path(folder) / "state.json").step; }
  bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }
};

TEST_F(Divergence, TheLastCheckpointStaysAndTheRunGoesOnFromIt) {
  const auto good = checkpoint("run");
  expect_ruin(ruin("train.save_every=0"), {"is not finite", "checkpoint in", "is of step 8", "--resume auto"});
  EXPECT_TRUE(checkpoint("run") == good);
  EXPECT_GT(losses("run").size(), 9u) << "the records up to the stop are there to look at";
  EXPECT_EQ(report_step(path("run") / "report.html"), static_cast<std::int64_t>(losses("run").size()));
  EXPECT_FALSE(exists("run/last_good") || exists("run/set_aside"));

  EXPECT_EQ(resume("run", {"train.steps=20"}).step, 20);
  const std::vector<double> all = losses("run");
  ASSERT_EQ(all.size(), 20u);
  for (const double loss : all) EXPECT_LT(loss, 7);
}

TEST_F(Divergence, WhatWasSavedOnTheWayUpGivesWayToWhatWasBefore) {
  const auto good = checkpoint("run");
  std::filesystem::copy(path("run"), path("other"), std::filesystem::copy_options::recursive);
  expect_ruin(ruin("train.save_every=2"),
              {"is not finite", "is of step 8 again", "last one known to be good", "set_aside"});
  EXPECT_TRUE(checkpoint("run") == good);
  EXPECT_FALSE(exists("run/last_good"));
  EXPECT_GE(step_of("run/set_aside"), 10);
  EXPECT_EQ(check_files(path("run/set_aside")).size(), 9u);
  for (const FileCheck& check : check_files(path("run/set_aside"))) EXPECT_TRUE(check.same) << check.name;

  resume("run", {"train.steps=20"});
  resume("other", {"train.steps=20"});
  EXPECT_EQ(losses("run").size(), 20u);
  EXPECT_EQ(losses("run"), losses("other"));
  EXPECT_TRUE(checkpoint("run") == checkpoint("other"));
}

TEST_F(Divergence, StoppedOnTheWayUpTheRunCanGoOnOrBack) {
  const auto good = checkpoint("run");
  int asked = 0;
  TrainOptions options{.resume = Resume::kAuto, .stop_requested = [&] { return ++asked == 2; }};
  EXPECT_TRUE(train(*open_device(), "run", options, ruin("train.save_every=3")).interrupted);
  EXPECT_EQ(step_of("run"), 10);
  EXPECT_EQ(step_of("run/last_good"), 8);
  EXPECT_TRUE(checkpoint("run/last_good") == good);
  std::filesystem::copy(path("run"), path("back"), std::filesystem::copy_options::recursive);
  // On: it is still known that the loss has risen.
  expect_ruin(ruin("train.save_every=3"), {"is of step 8 again"});
  EXPECT_TRUE(checkpoint("run") == good);
  // Back, as it is asked for.
  RunFolder(path("back")).go_back();
  EXPECT_TRUE(checkpoint("back") == good);
  EXPECT_EQ(step_of("back/set_aside"), 10);
  test::expect_error(ErrorCode::kInvalidArgument, {"back", "last_good"}, [&] { RunFolder(path("back")).go_back(); });
}

TEST_F(Divergence, OnceTheLossIsBackNothingLiesBeside) {
  // As if the loss had been 5 nats higher at step 8, and a checkpoint from before lay beside.
  std::filesystem::create_directories(path("run/last_good"));
  RunState state = read_run_state(path("run/state.json"));
  state.step = 7;
  write_run_state(path("run/last_good/state.json"), state);
  state.step = 8;
  ASSERT_EQ(state.measures.count("rise.loss_risen"), 1u);
  state.measures["rise.loss_risen"] = 1;
  state.measures["rise.loss_mean"] += 5;
  write_run_state(path("run/state.json"), state);
  std::vector<int> there;  // after which steps
  int step = 8;
  TrainOptions options{.resume = Resume::kAuto, .stop_requested = [&] {
                         if (exists("run/last_good")) there.push_back(step);
                         ++step;
                         return false;
                       }};
  train(*open_device(), "run", options, {"train.steps=60", "train.save_every=25", "train.eval_every=0"});
  // What step n leads to is known while step n + 1 runs: kept until five steps after the save of step 25, when the loss
  // was back; the checkpoint of step 25 for five after 50.
  std::vector<int> expected;
  for (int n = 8; n <= 30; ++n) expected.push_back(n);
  for (int n = 50; n <= 55; ++n) expected.push_back(n);
  EXPECT_EQ(there, expected);
  EXPECT_FALSE(exists("run/last_good"));
  EXPECT_EQ(step_of("run"), 60);
}

TEST_F(Divergence, CutShortBetweenTwoCheckpointsNothingIsLost) {
  const auto good = checkpoint("run");
  RunFolder(path("run")).keep_as_last_good();  // before a save that did not come about: the same files twice
  EXPECT_TRUE(checkpoint("run/last_good") == good);
  std::filesystem::copy(path("run"), path("back"), std::filesystem::copy_options::recursive);
  RunFolder(path("run")).go_back();
  EXPECT_TRUE(checkpoint("run") == good && checkpoint("run/set_aside") == good);
  EXPECT_FALSE(exists("run/last_good") || exists("run/checkpoint.ready"));
  EXPECT_EQ(resume("back", {"train.steps=8"}).step, 8);
  EXPECT_TRUE(checkpoint("back") == good);
  EXPECT_FALSE(exists("back/last_good"));
}

TEST_F(Divergence, CheckpointsOfEveryStepAreNoMoreTrustedThanOthers) {
  const auto good = checkpoint("run");
  // The step that ruins the weights has a loss like any other, and its checkpoint looks good.
  expect_ruin(ruin("train.save_every=1"), {"is of step 8 again"});
  EXPECT_TRUE(checkpoint("run") == good);
}

TEST_F(Divergence, WithoutACheckpointTheLastGoodStateIsSavedNotARuinedOne) {
  test::expect_error(ErrorCode::kNumeric, {"is not finite", "nothing is saved"},
                     [&] { train(*open_device(), "ruined", {}, ruin("train.save_every=0")); });
  EXPECT_FALSE(exists("ruined/model.safetensors"));
  EXPECT_FALSE(losses("ruined").empty());
  // The folder is free for another attempt.
  EXPECT_EQ(resume("ruined").step, 12);
  EXPECT_EQ(losses("ruined").size(), 12u);
}

}  // namespace
}  // namespace fabula::train
