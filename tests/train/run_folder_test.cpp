// What a run folder is found in when a run goes on: damage is named and nothing is written; what is only a view is made
// anew; the data goes on where it stopped.
#include "train/run_folder.hpp"
#include "log_capture.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "expect_error.hpp"
#include "formats/report.hpp"
#include "formats/safetensors.hpp"
#include "train/training.hpp"

namespace fabula::train {
namespace {

const std::vector<std::string> kFour{"train.steps=4", "train.eval_every=0"};
const std::vector<std::string> kSix{"train.steps=6", "train.eval_every=0"};

void write(const std::filesystem::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary) << content;
}

std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
  std::map<std::string, std::string> result;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != ".lock")
      result[entry.path().string()] = bytes_of(entry.path());
  return result;
}

/// Puts a number into a tensor of a file.
void poke(const std::filesystem::path& file, const std::string& tensor, std::size_t index, float value) {
  const std::uint64_t offset = SafetensorsFile::open(file).info(tensor).offset;
  std::string bytes = bytes_of(file);
  std::memcpy(bytes.data() + offset + 4 * index, &value, sizeof(value));
  write(file, bytes);
}

TEST_F(Training, StateThatCannotBeRightIsRefused) {
  train(*open_device(), "run", {}, kFour);
  const std::string wpe = "transformer.wpe.weight", m = "adam.m." + wpe, v = "adam.v." + wpe;
  const std::string model = bytes_of(path("run/model.safetensors")),
                    optimizer = bytes_of(path("run/optimizer.safetensors"));
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  struct Damage {
    const char* file;
    std::string tensor;
    float value;
    const char* says;
  };
  for (const Damage& damage : {Damage{"model.safetensors", wpe, nan, "number 37 is nan"},
                               Damage{"model.safetensors", wpe, -infinity, "number 37 is -inf"},
                               Damage{"optimizer.safetensors", m, nan, "number 37 is nan"},
                               Damage{"optimizer.safetensors", v, infinity, "number 37 is inf"},
                               Damage{"optimizer.safetensors", v, -1e-9f, "a second moment is never negative"},
                               Damage{"optimizer.safetensors", m, 3e38f, "the next step would change its weight by"},
                               Damage{"optimizer.safetensors", m, 0.5f, "by the checksum in state.json"}}) {
    poke(path("run") / damage.file, damage.tensor, 37, damage.value);
    const auto before = contents(path("run"));
    std::vector<std::string> parts{damage.file, damage.says};
    if (damage.value != 0.5f) parts.push_back("\"" + damage.tensor + "\"");
    test::expect_error(ErrorCode::kFormat, parts, [&] { resume("run", kSix); });
    EXPECT_TRUE(contents(path("run")) == before) << damage.says;
    write(path("run/model.safetensors"), model);
    write(path("run/optimizer.safetensors"), optimizer);
  }
  EXPECT_EQ(resume("run", kSix).step, 6);
}

TEST_F(Training, AFlippedBitOfACheckpointIsFound) {
  train(*open_device(), "run", {}, kFour);
  std::vector<std::string> names;
  for (const FileCheck& check : check_files(path("run"))) {
    EXPECT_TRUE(check.same) << check.name;
    names.push_back(check.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"config.json", "configuration_fabula.py", "generation_config.json",
                                             "model.safetensors", "modeling_fabula.py", "optimizer.safetensors",
                                             "token_groups.json", "tokenizer.json", "tokenizer_config.json"}));
  const auto file = path("run/model.safetensors");
  const std::string whole = bytes_of(file);
  std::string flipped = whole;
  flipped[whole.size() - 5] ^= 1;  // the least bit of a mantissa
  write(file, flipped);
  for (const FileCheck& check : check_files(path("run"))) EXPECT_EQ(check.same, check.name != "model.safetensors");
  test::expect_error(ErrorCode::kFormat, {"model.safetensors", "not those that were saved"},
                     [&] { resume("run", kSix); });
  EXPECT_TRUE(bytes_of(file) == flipped);
  std::filesystem::remove(path("run/tokenizer_config.json"));
  EXPECT_FALSE(check_files(path("run")).back().same) << "a missing file";
}

// Training keeps what a checkpoint would not be without, and nothing that it reads of later programs.
TEST_F(Training, AFolderOfAnOlderProgramGoesOnAlike) {
  train(*open_device(), "old", {}, kFour);
  std::filesystem::copy(path("old"), path("new"), std::filesystem::copy_options::recursive);
  RunState state = read_run_state(path("old/state.json"));
  std::string text = run_state_json(state);
  text = text.substr(0, text.find(R"(,
  "measures")")) +
         "\n}\n";
  text.erase(text.find("\"data_windows\": 8"), std::strlen("\"data_windows\": 8"));
  write(path("old/state.json"), text);
  EXPECT_TRUE(read_run_state(path("old/state.json")).checksums.empty());
  test::expect_error(ErrorCode::kInvalidArgument, {"state.json", "no checksums"}, [&] { check_files(path("old")); });
  resume("old", kSix);
  resume("new", kSix);
  EXPECT_EQ(losses("old").size(), 6u);
  EXPECT_EQ(losses("old"), losses("new"));
  EXPECT_TRUE(bytes_of(path("old/model.safetensors")) == bytes_of(path("new/model.safetensors")));
}

TEST_F(Training, ViewsThatCannotBeWrittenDoNotStopIt) {
  train(*open_device(), "whole");
  std::filesystem::create_directories(path("run/report.html"));
  std::filesystem::create_directories(path("run/metrics.jsonl"));
  const test::LogCapture log;
  EXPECT_EQ(train(*open_device(), "run").step, 12);
  const std::string said = log.text();
  for (const char* name : {"report.html", "metrics.jsonl"}) {
    const std::size_t first = said.find(std::string("Training goes on without ") + name);
    EXPECT_NE(first, std::string::npos) << said;
    EXPECT_EQ(said.find(std::string("Training goes on without ") + name, first + 1), std::string::npos)
        << "once, not at each of three checkpoints:\n"
        << said;
  }
  EXPECT_TRUE(bytes_of(path("run/model.safetensors")) == bytes_of(path("whole/model.safetensors")));
  EXPECT_EQ(bytes_of(path("run/state.json")), bytes_of(path("whole/state.json")));
}

TEST(RunViews, RecordsAreMadeUpForOnceTheyCanBeWritten) {
  const test::TempDir folder;
  std::vector<std::string> warnings;
  RunViews views(folder.path(), [&](const std::string& message) { warnings.push_back(message); });
  std::filesystem::create_directory(folder / "metrics.jsonl");
  const auto record = [](std::int64_t step) {
    return MetricsRecord{std::string(kTrainRecord), step, {{"loss", 1.0 / static_cast<double>(step)}}, {}};
  };
  views.open(-1);
  views.append(record(1));
  views.sync();
  views.append(record(2));
  EXPECT_EQ(warnings.size(), 1u);
  EXPECT_EQ(views.records().size(), 2u);
  std::filesystem::remove(folder / "metrics.jsonl");
  views.append(record(3));
  views.sync();
  views.append(record(4));
  std::string expected;
  for (int step = 1; step <= 4; ++step) expected += metrics_line(record(step));
  EXPECT_EQ(bytes_of(folder / "metrics.jsonl"), expected);
  EXPECT_EQ(warnings.size(), 1u);
}

TEST_F(Training, AReportThatIsMissingOrOlderIsMadeAgain) {
  train(*open_device(), "run");
  const auto report = path("run/report.html");
  const std::string whole = bytes_of(report);
  EXPECT_EQ(report_step(report), 12);
  std::filesystem::remove(report);
  resume("run");
  EXPECT_EQ(report_step(report), 12);
  for (const char* step : {"8", "no number"}) {
    std::string older = whole;
    older.replace(older.find("content=\"12\"") + 9, 2, step);
    write(report, older);
    resume("run");
    EXPECT_EQ(report_step(report), 12);
  }
  write(report, whole + "<!-- of step 12 -->");
  resume("run");
  EXPECT_EQ(bytes_of(report), whole + "<!-- of step 12 -->") << "one of the last step is left alone";
}

TEST_F(Training, StoppedInTheFirstValidationNothingIsLeftOut) {
  train(*open_device(), "whole");
  int asked = 0;
  TrainOptions options;
  options.stop_requested = [&] { return ++asked >= 1; };
  const TrainOutcome outcome = train(*open_device(), "stopped", options);
  EXPECT_TRUE(outcome.interrupted);
  EXPECT_EQ(outcome.step, 0);
  EXPECT_EQ(read_run_state(path("stopped/state.json")).step, 0);
  EXPECT_EQ(resume("stopped").step, 12);
  EXPECT_EQ(values("stopped", kEvalRecord, "loss"), values("whole", kEvalRecord, "loss"));
  EXPECT_EQ(values("stopped", kEvalRecord, "loss").size(), 3u);  // steps 0, 6 and 12
  EXPECT_EQ(losses("stopped"), losses("whole"));
  EXPECT_TRUE(bytes_of(path("stopped/model.safetensors")) == bytes_of(path("whole/model.safetensors")));
  EXPECT_EQ(bytes_of(path("stopped/state.json")), bytes_of(path("whole/state.json")));
}

TEST_F(Training, FilesOfKilledProcessesGo) {
  train(*open_device(), "run", {}, kFour);
  for (const char* name :
       {"run/.report.html.tmp-1-0", "run/.metrics.jsonl.tmp-77-12", "run/data/.train.tokens.tmp-5-3"})
    write(path(name), "half");
  std::filesystem::create_directories(path("run/last_good.unfinished"));
  write(path("run/.mine.tmp-x"), "kept");
  resume("run", kSix);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path("run")))
    EXPECT_TRUE(entry.path().filename() == ".mine.tmp-x" || entry.path().string().find(".tmp-") == std::string::npos)
        << entry.path();
  EXPECT_TRUE(std::filesystem::exists(path("run/.mine.tmp-x")));
  EXPECT_FALSE(std::filesystem::exists(path("run/last_good.unfinished")));
}

TEST_F(Training, DataGoesOnWhereItStoppedWithOtherBatches) {
  // With a rate that changes no weight the losses are those of the windows alone.
  const std::vector<std::string> still{"train.learning_rate=1e-30", "embd_pdrop=0", "train.eval_every=0"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), still.begin(), still.end());
    return more;
  };
  train(*open_device(), "whole", {}, with({"train.steps=10"}));
  train(*open_device(), "run", {}, with({"train.steps=4"}));
  resume("run", with({"train.steps=5", "train.batch_size=4"}));
  resume("run", with({"train.steps=6", "train.batch_size=1", "train.grad_accumulation=4"}));
  resume("run", with({"train.steps=8"}));
  const std::vector<double> steps = losses("whole"), mixed = losses("run");
  ASSERT_EQ(steps.size(), 10u);
  ASSERT_EQ(mixed.size(), 8u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(mixed[i], steps[i]);
  EXPECT_NEAR(mixed[4], (steps[4] + steps[5]) / 2, 1e-5);
  EXPECT_NEAR(mixed[5], (steps[6] + steps[7]) / 2, 1e-5);
  EXPECT_NEAR(mixed[6], steps[8], 1e-5);
  EXPECT_NEAR(mixed[7], steps[9], 1e-5);
  // 2 sequences of 16 tokens a step, then 4 twice, then 2.
  EXPECT_EQ(values("run", kTrainRecord, "tokens_seen"), (std::vector<double>{32, 64, 96, 128, 192, 256, 288, 320}));
  const RunState state = read_run_state(path("run/state.json"));
  EXPECT_EQ(state.tokens_seen, 320);
  EXPECT_EQ(state.data_position, 4 + 1 + 4 + 2);
  EXPECT_EQ(state.numbers.at("data_windows"), 20);
}

}  // namespace
}  // namespace fabula::train
