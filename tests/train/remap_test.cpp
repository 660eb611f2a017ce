// A run whose token map is made again on its way: what stays, what a killed run comes to, what is refused.
#include "train/remap.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "expect_error.hpp"
#include "formats/safetensors.hpp"
#include "infer/model_folder.hpp"
#include "train/start_from.hpp"
#include "train/training.hpp"

namespace fabula::train {
namespace {

using Overrides = std::vector<std::string>;

Overrides with(Overrides list, const Overrides& more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

const Overrides kHead{"tie_word_embeddings=true", "head.modulation=per_group", "head.map=clustered", "head.shortlist=8",
                      "train.learning_rate=1e-2"};
const Overrides kClasses = with(kHead, {"head.class_input=true"});
const Overrides kRemapped = with(kClasses, {"head.remap=[6]"});
const TrainOptions kResume{.resume = Resume::kAuto, .overfit_batch = false, .stop_requested = {}};

struct Killed {};

class Remap : public Training {
 protected:
  /// Trains until it is asked so often whether to stop; then it does, or is gone without a word.
  void train_until(vk::Device& device, const std::string& run, int asked_at, bool killed,
                   const Overrides& overrides) const {
    int asked = 0;
    TrainOptions options;
    options.stop_requested = [&] {
      if (++asked < asked_at) return false;
      if (killed) throw Killed();
      return true;
    };
    if (killed)
      EXPECT_THROW(train(device, run, options, overrides), Killed);
    else
      EXPECT_TRUE(train(device, run, options, overrides).interrupted);
  }
  void expect_same_run(const std::string& run, const std::string& whole) const {
    EXPECT_EQ(losses(run), losses(whole)) << run;
    EXPECT_EQ(values(run, kEvalRecord, "loss"), values(whole, kEvalRecord, "loss")) << run;
    EXPECT_EQ(values(run, kRemapRecord, "tokens_moved"), values(whole, kRemapRecord, "tokens_moved")) << run;
    for (const char* file : {"model.safetensors", "optimizer.safetensors", "token_groups.json"}) {
      EXPECT_FALSE(bytes_of(path(run) / file).empty());
      EXPECT_TRUE(bytes_of(path(run) / file) == bytes_of(path(whole) / file)) << run << "/" << file;
    }
  }
  TokenMap map_of(const std::string& run) const { return read_token_map(path(run) / kTokenMapFile, 280); }
  std::vector<float> tensor(const std::string& run, const char* file, const std::string& name) const {
    const SafetensorsFile tensors = SafetensorsFile::open(path(run) / file);
    std::vector<float> values(static_cast<std::size_t>(tensors.info(name).elements));
    tensors.read_f32(name, values);
    return values;
  }
};

// Checkpoints are at 4, 8 and 12, the map is made again after 6: a run goes on from before, at and behind it.
TEST_F(Remap, ARunStoppedOrKilledAnywhereComesToTheSame) {
  const auto device = open_device();
  train(*device, "whole", {}, kRemapped);
  EXPECT_EQ(map_of("whole").step, 6);
  ASSERT_EQ(values("whole", kRemapRecord, "tokens_moved").size(), 1u);
  EXPECT_GT(values("whole", kRemapRecord, "tokens_moved")[0], 0.1);
  // Asked twice in the validation before the first step, then after each step; after step 6 twice in its validation.
  for (const int step : {5, 6, 7}) {
    const std::string stopped = fmt::format("stopped{}", step), killed = fmt::format("killed{}", step);
    const int asked = 2 + step + (step > 6 ? 2 : 0);
    train_until(*device, stopped, asked, false, kRemapped);
    EXPECT_EQ(RunFolder(path(stopped)).read_state().step, step);
    EXPECT_EQ(map_of(stopped).step, step < 6 ? 0 : 6);
    train(*device, stopped, kResume, kRemapped);
    expect_same_run(stopped, "whole");
    train_until(*device, killed, asked, true, kRemapped);
    EXPECT_EQ(RunFolder(path(killed)).read_state().step, 4);
    EXPECT_EQ(map_of(killed).step, 0);
    train(*device, killed, kResume, kRemapped);
    expect_same_run(killed, "whole");
  }
}

TEST_F(Remap, InEveryPrecisionWithSamplesAndAccumulation) {
  const auto device = open_device();
  for (const char* precision : {"bf16", "fp16"}) {
    const Overrides overrides =
        with(kRemapped, {fmt::format("train.precision={}", precision), "train.grad_accumulation=2", "head.remap=[4, 6]",
                         "train.sample_every=6", "train.sample_tokens=8", "train.eval_every=0"});
    const std::string whole = fmt::format("whole_{}", precision), stopped = fmt::format("stopped_{}", precision);
    train(*device, whole, {}, overrides);
    EXPECT_EQ(map_of(whole).step, 6);
    train_until(*device, stopped, 4, false, overrides);
    EXPECT_EQ(map_of(stopped).step, 4);
    train(*device, stopped, kResume, overrides);
    expect_same_run(stopped, whole);
    const auto text = [&](const std::string& run) {
      std::vector<std::string> texts;
      for (const MetricsRecord& record : read_metrics(path(run) / "metrics.jsonl"))
        if (record.kind == kSampleRecord) texts.push_back(record.texts.at("text"));
      return texts;
    };
    EXPECT_EQ(text(stopped), text(whole));
    EXPECT_EQ(text(whole).size(), 2u);
  }
}

// Two runs that differ in what happens after the last step but one that both have computed alike.
TEST_F(Remap, WhatTheModelReadsAndKnowsStays) {
  for (const Overrides& head : {kHead, kClasses}) {
    const std::string name = head == kHead ? "plain" : "classes";
    const Overrides common = with(head, {"train.steps=121", "train.batch_size=16", "train.eval_every=120",
                                         "train.eval_batches=4", "train.save_every=120"});
    int asked = 0;
    TrainOptions stopping;
    stopping.stop_requested = [&] { return ++asked == 4 + 120; };  // within the validation: it is made up for below
    train(*open_device(), name, stopping, common);
    asked = 0;
    train(*open_device(), name + "_remapped", stopping, with(common, {"head.remap=[120]"}));
    const std::string before = name, after = name + "_remapped";
    const TokenMap from = map_of(before), to = map_of(after);
    ASSERT_EQ(from.step, 0);
    ASSERT_EQ(to.step, 120);
    EXPECT_EQ(to.shortlist, from.shortlist);
    const std::vector<std::uint64_t> once(280, 1);
    EXPECT_GT(moved(from, to, once).tokens, 0.2);

    const auto numbers = [&](const std::string& run, const char* file, const std::string& prefix) {
      return GroupNumbers{.hidden = 16,
                          .slots = 17,
                          .class_input = head == kClasses,
                          .rows = tensor(run, file, prefix + "transformer.wte.weight"),
                          .vectors = tensor(run, file, prefix + "lm_head.group.weight"),
                          .bias = tensor(run, file, prefix + "lm_head.group.bias"),
                          .shift = tensor(run, file, prefix + "lm_head.shift")};
    };
    const GroupNumbers was = numbers(before, "model.safetensors", ""), is = numbers(after, "model.safetensors", "");
    EXPECT_EQ(was.rows == is.rows, head == kHead);
    const std::vector<float> read = input_rows(was, from), read_after = input_rows(is, to);
    for (std::size_t i = 0; i < read.size(); ++i) ASSERT_NEAR(read_after[i], read[i], 1e-6) << i;
    for (const char* moment : {"adam.m.", "adam.v."}) {
      const GroupNumbers m = numbers(before, "optimizer.safetensors", moment),
                         moved_m = numbers(after, "optimizer.safetensors", moment);
      EXPECT_EQ(moved_m.rows, m.rows);
      std::map<std::uint32_t, float> of_token;
      for (std::size_t g = 0; g < from.groups.size(); ++g)
        for (std::size_t s = 0; s < from.groups[g].size(); ++s) of_token[from.groups[g][s]] = m.shift[g * 17 + s];
      for (std::size_t g = 0; g < to.groups.size(); ++g)
        for (std::size_t s = 0; s < to.groups[g].size(); ++s)
          EXPECT_EQ(moved_m.shift[g * 17 + s], of_token.at(to.groups[g][s]));
    }

    train(*open_device(), before, kResume, common);
    train(*open_device(), after, kResume, with(common, {"head.remap=[120]"}));
    const auto was_losses = values(before, kEvalRecord, "loss"), is_losses = values(after, kEvalRecord, "loss");
    ASSERT_EQ(was_losses.size(), 3u);  // steps 0, 120, 121
    ASSERT_EQ(is_losses.size(), 3u);
    EXPECT_EQ(is_losses[0], was_losses[0]);
    EXPECT_LT(was_losses[1], was_losses[0] - 0.5) << "it has learned something";
    // Rows that do not know of classes lose what these told of a token.
    EXPECT_NEAR(is_losses[1], was_losses[1], head == kClasses ? 0.1 : 0.5) << name;
  }
}

TEST_F(Remap, AMapOrWeightsOfAnotherTimeAreNamed) {
  const Overrides short_run = with(kRemapped, {"train.eval_every=0"});
  train_until(*open_device(), "run", 5, false, short_run);
  std::filesystem::copy(path("run"), path("before"), std::filesystem::copy_options::recursive);
  train(*open_device(), "run", kResume, short_run);
  std::filesystem::copy(path("run"), path("after"), std::filesystem::copy_options::recursive);
  const Overrides longer = with(short_run, {"train.steps=14"});
  const auto resume_run = [&] { train(*open_device(), "run", kResume, longer); };
  const auto put = [&](const char* file, const std::string& of) {
    std::filesystem::copy_file(path(of) / file, path("run") / file, std::filesystem::copy_options::overwrite_existing);
  };
  put(kTokenMapFile, "before");
  test::expect_error(ErrorCode::kFormat,
                     {"token_groups.json was made before the run", "model.safetensors", "after step 6",
                      "token_groups.json is the older"},
                     resume_run);
  const auto device = open_device();
  const auto generate = [&] {
    const infer::ModelFolder folder(path("run"));
    graph::Workload workload(device->profile());
    infer::add_session_graphs(workload, folder.model(), {});
    graph::Runtime runtime(*device, std::move(workload));
    folder.load_weights(runtime);
  };
  test::expect_error(ErrorCode::kFormat, {"token_groups.json is the older"}, generate);
  put(kTokenMapFile, "after");
  generate();
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.json"}) put(file, "before");
  test::expect_error(ErrorCode::kFormat,
                     {"token_groups.json was made after step 6", "before the run", "model.safetensors is the older"},
                     resume_run);
  put(kTokenMapFile, "before");
  resume_run();
  EXPECT_EQ(map_of("run").step, 6);
}

TEST_F(Remap, TheLastGoodCheckpointHasItsOwnMap) {
  const auto device = open_device();
  const Overrides overrides = with(kRemapped, {"train.eval_every=0"});
  train(*device, "whole", {}, overrides);
  train_until(*device, "run", 9, true, overrides);
  EXPECT_EQ(map_of("run").step, 6);
  RunFolder(path("run")).go_back();
  EXPECT_EQ(RunFolder(path("run")).read_state().step, 4);
  EXPECT_EQ(map_of("run").step, 0);
  EXPECT_EQ(map_of("run/set_aside").step, 6);
  train(*device, "run", kResume, overrides);
  expect_same_run("run", "whole");
}

TEST_F(Remap, AMapOfAFileIsMadeAgainToo) {
  train(*open_device(), "first", {}, kRemapped);
  const Overrides file = with(kClasses, {"head.map=file", "head.map_file=" + (path("first") / kTokenMapFile).string(),
                                         "head.shortlist=0", "head.remap=[3]", "train.eval_every=0"});
  train_until(*open_device(), "second", 5, false, file);
  EXPECT_EQ(map_of("second").step, 3);
  EXPECT_NE(map_of("second"), map_of("first"));
  train(*open_device(), "second", kResume, file);
  train(*open_device(), "whole", {}, file);
  expect_same_run("second", "whole");
}

TEST_F(Remap, GroupsByMassAreMadeAgainToo) {
  const Overrides overrides = with(kRemapped, {"head.group_sizes=mass", "train.eval_every=0", "head.remap=[3, 6]"});
  const auto device = open_device();
  train(*device, "whole", {}, overrides);
  train_until(*device, "run", 5, true, overrides);
  train(*device, "run", kResume, overrides);
  expect_same_run("run", "whole");
  EXPECT_EQ(map_of("run").step, 6);
  EXPECT_FALSE(map_of("run").shares.empty());
}

TEST_F(Remap, AnotherRunStartsFromTheMapAsItIs) {
  const Overrides overrides = with(kRemapped, {"train.eval_every=0"});
  train(*open_device(), "first", {}, overrides);
  const auto start = [&] {
    RunConfig config = parse_config(kConfig, "config", with(kClasses, {"train.eval_every=0"}));
    RunFolder folder(path("second"));
    const StartFrom from(path("first"), {});
    const DataSet data = open_data({.tokenizer = from.tokenizer_for(config), .corpus_stories = 40, .from = &from},
                                   config, folder.path());
    TrainOptions options;
    options.from = &from;
    const auto device = open_device();
    Trainer(*device, config, data, folder, options).run();
  };
  std::filesystem::copy_file(path("first") / kTokenMapFile, path("kept"));
  std::string older = bytes_of(path("kept"));
  older.erase(older.find(" \"step\": 6,\n"), 12);
  std::ofstream(path("first") / kTokenMapFile) << older;
  test::expect_error(ErrorCode::kFormat, {"token_groups.json is the older"}, start);
  std::filesystem::rename(path("kept"), path("first") / kTokenMapFile);
  start();
  EXPECT_EQ(map_of("second"), map_of("first"));
  EXPECT_EQ(map_of("second").step, 0);
  EXPECT_EQ(resume("second", with(kClasses, {"train.eval_every=0", "train.steps=14"})).step, 14);
}

TEST_F(Remap, OtherStepsGoOnWithAWarning) {
  const Overrides plain = with(kClasses, {"train.eval_every=0"});
  train_until(*open_device(), "run", 5, false, plain);
  const Overrides later = with(plain, {"head.remap=[2, 9]"});
  EXPECT_EQ(train(*open_device(), "run", kResume, later).step, 12);
  EXPECT_EQ(map_of("run").step, 9);
  EXPECT_EQ(values("run", kRemapRecord, "seconds").size(), 1u);
}

TEST_F(Remap, WhatMakesNoSenseIsRefusedBeforeAnythingRuns) {
  const auto refused = [&](const Overrides& overrides, std::vector<std::string> says) {
    says.push_back("head.remap");
    test::expect_error(ErrorCode::kInvalidArgument, says, [&] { train(*open_device(), "none", {}, overrides); });
    EXPECT_FALSE(std::filesystem::exists(path("none") / "metrics.jsonl"));
    EXPECT_FALSE(std::filesystem::exists(path("none") / "model.safetensors"));
  };
  for (const char* steps : {"[0]", "[-1, 3]", "[5, 5]", "[6, 3]", "7"})
    refused(with(kClasses, {fmt::format("head.remap={}", steps)}), {"a list of rising integers from 1"});
  refused(with(kClasses, {"head.remap=[3, 13]"}), {"[3, 13]", "12 steps", "choose steps from 1 to 11"});
  refused(with(kClasses, {"head.remap=[12]"}), {"12 steps", "choose steps from 1 to 11"});
  refused(with(kClasses, {"head.remap=[3]", "train.steps=0", "train.tokens=96"}),
          {"3 steps", "choose steps from 1 to 2"});
  const std::string fits = "take kind grouped, modulation per_group, tie_word_embeddings true, map clustered or file";
  const std::string remap = "head.remap=[3]";
  refused({remap, "head.kind=full"}, {"a head of kind full has no groups", fits});
  refused({remap, "head.kind=adaptive"}, {"ranges of token frequency", fits});
  refused({remap}, {"modulation scale_shift", fits});
  refused(with(kHead, {remap, "head.modulation=low_rank", "head.rank=4"}), {"modulation low_rank", fits});
  refused(with(kHead, {remap, "tie_word_embeddings=false"}), {"tie_word_embeddings is false", fits});
  for (const char* map : {"id_ranges", "frequency", "random"})
    refused(with(kHead, {remap, fmt::format("head.map={}", map)}), {fmt::format("map {} ", map), fits});
  refused(with(kHead, {remap, "head.prototypes=2"}), {"head.prototypes is 2", "1 prototype"});
}

}  // namespace
}  // namespace fabula::train
