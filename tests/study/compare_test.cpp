// A study gives the same table however often it is stopped, and a row of it is what fabula train makes of its settings.
#include <stdexcept>

#include "expect_error.hpp"
#include "formats/config_io.hpp"
#include "formats/safetensors.hpp"
#include "study/study_scene.hpp"
#include "train/trainer.hpp"

namespace fabula::study {
namespace {

using json = nlohmann::ordered_json;
using test::expect_error;

constexpr const char* kRates = R"(, "learning_rates": [1e-3, 1e-2])";
constexpr const char* kTwoHeads =
    R"({"name": "mapped", "map_of": "fused",
        "set": {"head.modulation": "per_group", "head.shortlist": 10, "head.group_sizes": "mass"}},
       {"name": "fused", "set": {"head.kind": "fused", "head.bias": true}})";

TEST_F(StudyScene, StoppedAnywhereItGivesTheSameTable) {
  write_study(kTwoHeads, kRates);
  const CompareOutcome straight = compare("straight");
  EXPECT_FALSE(straight.stopped);
  EXPECT_EQ(straight.finished, 4u);
  const json expected = table("straight");
  ASSERT_EQ(expected["cells"].size(), 4u);
  EXPECT_EQ(expected["cells"][0]["row"], "fused");  // a map of it is needed
  EXPECT_LT(expected["rows"][0]["perplexity"].get<double>(), 280);

  int spells = 0, stops = 0, crashes = 0;
  for (bool stopped = true; stopped; ++spells) {
    ASSERT_LT(spells, 60);
    int asked = 0;
    // Steps, or batches of an evaluation, of this spell; the longest are long enough for a whole evaluation.
    constexpr int kMost[] = {2, 6, 25, 9, 4, 13, 50};
    const int most = kMost[spells % std::size(kMost)];
    const bool crash = spells % 3 == 1;
    try {
      stopped = compare(options("stopped"), [&] {
                  if (++asked <= most) return false;
                  if (crash) throw std::runtime_error("killed");
                  return true;
                }).stopped;
      stops += stopped;
    } catch (const std::runtime_error& error) {
      ASSERT_STREQ(error.what(), "killed");
      ++crashes;
    }
  }
  EXPECT_GE(stops, 3);
  EXPECT_GE(crashes, 2);
  EXPECT_EQ(table("stopped"), expected);
  EXPECT_FALSE(std::filesystem::exists(path("stopped") / "weights"));
  EXPECT_TRUE(std::filesystem::is_empty(path("stopped") / "runs"));  // its state is small
}

TEST_F(StudyScene, ResultsOfSeveralMachinesArePutTogetherByCopying) {
  write_study(kTwoHeads);
  compare("one", {"fused"});
  const json first = table("one");
  EXPECT_EQ(first["rows"].size(), 1u);
  std::filesystem::create_directories(path("two"));
  std::filesystem::create_directories(path("three"));
  for (const char* folder : {"results", "maps"})
    std::filesystem::copy(path("one") / folder, path("two") / folder, std::filesystem::copy_options::recursive);
  int asked = 0;
  compare(options("two", {"mapped"}), [&] { return ++asked < 0; });
  compare("whole");
  EXPECT_EQ(table("two"), table("whole"));
  for (const auto& entry : std::filesystem::directory_iterator(path("two") / "results"))
    std::filesystem::copy(entry.path(), path("one") / "results", std::filesystem::copy_options::skip_existing);
  Comparison(options("one")).write_tables();
  EXPECT_EQ(table("one"), table("whole"));
  EXPECT_EQ(read("one/study.csv").substr(0, 4), "row,");
  for (const char* part : {"<svg", "Perplexity and logits", "mapped", "</html>"})
    EXPECT_NE(read("one/study.html").find(part), std::string::npos) << part;
  // Without its weights and its maps, what is finished cannot serve the rows that need it.
  std::filesystem::copy(path("one") / "results", path("three") / "results");
  std::filesystem::remove(path("three") / "results" / "mapped_lr0.001_seed1.json");
  expect_error(ErrorCode::kNotFound, {"mapped_lr0.001_seed1", "map_of", "copy the folder maps"},
               [&] { compare("three"); });
}

TEST_F(StudyScene, RowsThatDifferInTheHeadAloneBeginWithEqualBodiesAndReadEqualBatches) {
  write_study(R"({"name": "fused", "set": {"head.kind": "fused", "head.bias": true}},
                 {"name": "full", "set": {"head.kind": "full", "head.bias": true}},
                 {"name": "grouped", "set": {"head.modulation": "per_group", "head.class_input": true}})",
              R"(, "set": {"tie_word_embeddings": true, "embd_pdrop": 0}, "learning_rates": [1e-2])");
  // Stopped in the validation before the first step, a run saves what it begins with.
  for (const char* row : {"fused", "grouped"}) {
    int asked = 0;
    EXPECT_TRUE(compare(options("begun", {row}), [&] { return ++asked > 1; }).stopped);
  }
  const auto file = [&](const char* cell) {
    return SafetensorsFile::open(path("begun") / "runs" / cell / "model.safetensors");
  };
  const SafetensorsFile fused = file("fused_lr0.01_seed1"), grouped = file("grouped_lr0.01_seed1");
  int drawn = 0;
  for (const std::string& name : fused.names()) {
    if (name.find("lm_head") != name.npos) continue;
    std::vector<float> one(static_cast<std::size_t>(fused.info(name).elements)), other = one;
    fused.read_f32(name, one);
    grouped.read_f32(name, other);
    EXPECT_EQ(one, other) << name;
    drawn += one != std::vector<float>(one.size(), one.front());
  }
  EXPECT_EQ(drawn, 6);  // two embeddings, and a block's four matrices
  // Two ways to compute one head: their losses are equal only where weights and batches are.
  CompareOptions keeping = options("whole", {"fused", "full"});
  keeping.keep_weights = true;
  compare(keeping);
  const auto losses = [&](const std::string& cell) {
    std::vector<double> result;
    for (const MetricsRecord& record : read_metrics(path("whole") / "weights" / cell / "metrics.jsonl"))
      if (record.kind == kTrainRecord) result.push_back(record.values.at("loss"));
    return result;
  };
  const std::vector<double> of_fused = losses("fused_lr0.01_seed1"), of_full = losses("full_lr0.01_seed1");
  ASSERT_EQ(of_fused.size(), 8u);
  ASSERT_EQ(of_full.size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(of_fused[i], of_full[i], 1e-4) << "step " << i + 1;
}

TEST_F(StudyScene, ARowIsWhatTrainMakesOfItsSettings) {
  write_study(kTwoHeads, R"(, "seeds": [3])");
  CompareOptions with = options("study");
  with.keep_weights = true;
  compare(with);
  const Comparison comparison(with);
  for (const Cell* cell : comparison.selected()) {
    EXPECT_TRUE(comparison.is_finished(*cell));
    RunConfig config = load_config(path("config.json"), comparison.overrides(*cell));
    vk::DeviceOptions device_options;
    device_options.cache_dir = "none";
    const auto device = vk::Device::open(device_options);
    train::RunFolder folder(path("alone_" + cell->name));
    const train::DataSet data = train::open_data({.data = path("train.tokens"),
                                                  .valid = path("valid.tokens"),
                                                  .tokenizer = path("tokenizer.json"),
                                                  .end_token = {}},
                                                 config, folder.path());
    train::Trainer(*device, config, data, folder, {}).run();
    EXPECT_EQ(read("alone_" + cell->name + "/model.safetensors"),
              read("study/weights/" + cell->name + "/model.safetensors"));
  }
}

TEST_F(StudyScene, ARowOfEqualTimeKeepsItsSteps) {
  write_study(R"({"name": "fused", "set": {"head.kind": "fused"}}, {"name": "long", "time_of": "fused"})",
              R"(, "set": {"train.steps": 12, "train.eval_every": 0}, "seeds": [1, 2])");
  int asked = 0;
  // Both runs of the first row, the timed steps, and some of the second row's.
  compare(options("out"), [&] { return std::filesystem::exists(path("out") / "steps" / "long.json") && ++asked > 3; });
  const std::string steps = read("out/steps/long.json");
  compare("out");
  EXPECT_EQ(read("out/steps/long.json"), steps);
  const json found = json::parse(steps);
  EXPECT_EQ(found["time_of"], "fused");
  const json all = table("out");
  for (const json& cell : all["cells"]) EXPECT_EQ(cell["steps"], cell["row"] == "long" ? found["steps"] : json(12));
}

TEST_F(StudyScene, ARowThatDivergesIsRecordedAsSuch) {
  write_study(R"({"name": "wild", "set": {"train.weight_decay": 10, "train.clip_norm": 0, "train.steps": 40,
                  "train.warmup_steps": 0, "train.min_lr_ratio": 1}, "learning_rates": [10, 1e-3]}, {"name": "tame"})");
  const CompareOutcome outcome = compare("out");
  EXPECT_EQ(outcome.finished, 3u);
  const json result = table("out");
  EXPECT_NE(result["cells"][0]["diverged"].get<std::string>().find("is not finite"), std::string::npos) << result;
  EXPECT_EQ(result["cells"][0]["loss"], nullptr);
  EXPECT_EQ(result["cells"][1]["diverged"], "");
  EXPECT_EQ(result["rows"][0]["learning_rate"], 1e-3);
  EXPECT_EQ(compare("out").finished, 3u);  // not tried again
}

TEST_F(StudyScene, WhatIsFinishedMustBeOfTheSameStudy) {
  write_study(kTwoHeads);
  compare("out", {"fused"});
  write_study(kTwoHeads, R"(, "set": {"train.batch_size": 3})");
  expect_error(ErrorCode::kInvalidArgument,
               {"out/results/fused_lr0.001_seed1.json", "row \"fused\"", "train.batch_size was 4, is 3", "--out"},
               [&] { compare("out"); });
  // A run that is under way is not gone on with under other settings either.
  int asked = 0;
  EXPECT_TRUE(compare(options("begun", {"fused"}), [&] { return ++asked > 5; }).stopped);
  expect_error(ErrorCode::kInvalidArgument, {"begun/runs/fused_lr0.001_seed1", "another study"}, [&] {
    write_study(kTwoHeads);
    compare("begun");
  });
  write_study(kTwoHeads);
  std::filesystem::copy(path("valid.tokens"), path("train.tokens"), std::filesystem::copy_options::overwrite_existing);
  expect_error(ErrorCode::kInvalidArgument, {"fused_lr0.001_seed1.json", "the data", "are others"},
               [&] { compare("out"); });
  write("out/results/fused_lr0.001_seed1.json", "{\"cell\": 3}");
  expect_error(ErrorCode::kFormat, {"fused_lr0.001_seed1.json", "\"cell\" is 3"}, [&] { compare("out"); });
}

TEST_F(StudyScene, TablesDoNotTakeThePlaceOfWhatIsRead) {
  std::filesystem::create_directory(path("out"));
  write("out/study.json",
        R"({"config": "../config.json", "data": {"train": "../train.tokens", "valid": "../valid.tokens",
    "tokenizer": "../tokenizer.json"}, "rows": [{"name": "paper"}]})");
  const std::string before = read("out/study.json");
  CompareOptions with = options("out");
  with.study = path("out/study.json");
  expect_error(ErrorCode::kInvalidArgument, {"study.json", "would be overwritten"}, [&] { Comparison{with}; });
  EXPECT_EQ(read("out/study.json"), before);
}

TEST_F(StudyScene, KeptWeightsSurviveAKillBeforeTheyWereMoved) {
  write_study(R"({"name": "paper"})");
  CompareOptions with = options("out");
  with.keep_weights = true;
  compare(with);
  const std::string cell = Comparison(with).selected().front()->name;
  std::filesystem::create_directories(path("out/runs"));
  std::filesystem::rename(path("out/weights/" + cell), path("out/runs/" + cell));
  compare(with);
  EXPECT_TRUE(std::filesystem::exists(path("out/weights/" + cell + "/model.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(path("out/runs/" + cell)));
}

TEST_F(StudyScene, ResultsWithOtherBandsAreNamed) {
  write_study(R"({"name": "paper"}, {"name": "fused", "set": {"head": "fused"}})");
  compare("out");
  const std::string file = "out/results/" + Comparison(options("out", {"paper"})).selected().front()->name + ".json";
  json result = json::parse(read(file));
  ASSERT_FALSE(result["bands"].empty());
  result["bands"].erase(0);
  write(file, result.dump());
  expect_error(ErrorCode::kFormat, {"bands by frequency"}, [&] { compare("out"); });
}

TEST_F(StudyScene, WhatCannotTrainIsRefusedBeforeAnythingRuns) {
  const std::string good = R"({"name": "good"}, )";
  const auto refused = [&](ErrorCode code, const std::vector<std::string>& parts, const std::string& rows,
                           std::uint64_t memory = 0) {
    write_study(good + rows);
    CompareOptions with = options("refused");
    with.device.memory = memory;
    expect_error(code, parts, [&] { compare(with); });
    EXPECT_FALSE(std::filesystem::exists(path("refused") / "results"));
    EXPECT_FALSE(std::filesystem::exists(path("refused") / "runs"));
  };
  using enum ErrorCode;
  refused(kInvalidArgument, {"study.json: row \"bad\"", "head.rnak", "did you mean"},
          R"({"name": "bad", "set": {"head.rnak": 3}})");
  refused(kInvalidArgument, {"row \"bad\"", "n_head"}, R"({"name": "bad", "set": {"n_head": 3}})");
  refused(kInvalidArgument, {"row \"bad\"", "vocab_size"}, R"({"name": "bad", "set": {"vocab_size": 300}})");
  refused(kInvalidArgument, {"row \"bad\"", "time_of finds the steps", "head.remap"},
          R"({"name": "bad", "time_of": "good", "set": {"head.modulation": "per_group", "head.map": "clustered",
              "tie_word_embeddings": true, "head.remap": [3]}})");
  refused(kInvalidArgument, {"row \"bad\"", "map_of is for a grouped head"},
          R"({"name": "bad", "set": {"head.kind": "full"}, "map_of": "good"})");
  refused(kInvalidArgument, {"row \"bad\"", "tokens"},
          R"({"name": "bad", "set": {"n_positions": 32768, "train.sequence_length": 32768}})");
  refused(kOutOfMemory, {"row \"bad\""}, R"({"name": "bad", "set": {"n_embd": 512, "n_head": 8}})", 4 << 20);
  refused(kNotFound, {"no.json"}, R"({"name": "bad", "set": {"head.map": "file", "head.map_file": "no.json"}})");
  write_study(R"({"name": "good"}, {"name": "other"})");
  expect_error(kInvalidArgument, {"there is no row \"othr\"", "there are good, other"},
               [&] { compare("refused", {"othr"}); });
  std::filesystem::rename(path("valid.tokens"), path("gone.tokens"));
  expect_error(kNotFound, {"valid.tokens"}, [&] { compare("refused"); });
  write("valid.tokens", "a text");
  expect_error(kInvalidArgument, {"valid.tokens is no token file", "fabula data prepare"}, [&] { compare("refused"); });
}

}  // namespace
}  // namespace fabula::study
