#include <gtest/gtest.h>

#include <cmath>

#include "base/atomic_file.hpp"
#include "expect_error.hpp"
#include "formats/metrics.hpp"
#include "formats/mutate.hpp"
#include "formats/run_state.hpp"
#include "temp_dir.hpp"

namespace fabula {
namespace {

using test::expect_error;
using test::TempDir;

RunState some_state() {
  RunState state;
  state.step = 120;
  state.tokens_seen = 1234567890123;
  state.data_position = 240;
  state.seed = 9007199254740993;  // not a double
  state.best_val_loss = 0.1 + 0.2;
  state.lowering = "abc";
  state.device = "llvmpipe \"x\"";
  state.driver = "Mesa";
  state.numbers = {{"rng", -5}, {"sample", 7}};
  state.texts = {{"note", "a\nb"}};
  state.measures = {{"mean", 0.1 + 0.2}, {"rise", -1e300}};
  state.checksums = {{"model.safetensors", "00000000000000ff"}};
  return state;
}

TEST(RunState, WhatIsWrittenReadsBackExactly) {
  TempDir dir;
  const RunState state = some_state();
  write_run_state(dir / "state.json", state);
  const RunState again = read_run_state(dir / "state.json");
  EXPECT_EQ(run_state_json(again), run_state_json(state));
  EXPECT_EQ(again.seed, state.seed);
  EXPECT_EQ(again.best_val_loss, state.best_val_loss);
  EXPECT_EQ(again.numbers, state.numbers);
  EXPECT_EQ(again.texts, state.texts);
  EXPECT_EQ(again.measures, state.measures);
  EXPECT_EQ(again.checksums, state.checksums);
  EXPECT_TRUE(std::isinf(parse_run_state(run_state_json(RunState{}), "s").best_val_loss));
}

TEST(RunState, DamageIsNamed) {
  const std::string good = run_state_json(some_state());
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  expect_error(ErrorCode::kFormat, {"s.json", "not valid JSON"}, [&] { parse_run_state("{", "s.json"); });
  expect_error(ErrorCode::kFormat, {"\"step\" is missing"},
               [&] { parse_run_state(changed("\"step\"", "\"stop\""), "s.json"); });
  expect_error(ErrorCode::kFormat, {"\"step\" must be a count"},
               [&] { parse_run_state(changed("120", "-120"), "s.json"); });
  expect_error(ErrorCode::kFormat, {"\"step\" must be an integer"},
               [&] { parse_run_state(changed("120", "1.5"), "s.json"); });
  expect_error(ErrorCode::kFormat, {"\"numbers.rng\" must be an integer"},
               [&] { parse_run_state(changed("-5", "\"x\""), "s.json"); });
  for (const char* name : {"../model", "/etc/passwd", "..", ""})
    expect_error(ErrorCode::kFormat, {"s.json", "\"checksums\" must be"},
                 [&] { parse_run_state(changed("model.safetensors", name), "s.json"); });
  expect_error(ErrorCode::kFormat, {"\"measures.rise\" must be a number"},
               [&] { parse_run_state(changed("-1e+300", "null"), "s.json"); });
  expect_error(ErrorCode::kUnsupported, {"state format 9"},
               [&] { parse_run_state(changed("\"format\": 1", "\"format\": 9"), "s.json"); });
}

TEST(RunState, MutatedTextsNeverCrash) {
  const std::string good = run_state_json(some_state());
  std::mt19937 random(3);
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string text = test::mutate(good, random);
    accepted += test::succeeds_or_throws_error([&] { run_state_json(parse_run_state(text, "s")); });
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 3000);
}

MetricsRecord train(std::int64_t step, double loss) {
  return {std::string(kTrainRecord), step, {{"loss", loss}, {"lr", 1e-3}}, {}};
}

TEST(Metrics, RecordsReadBack) {
  TempDir dir;
  EXPECT_TRUE(read_metrics(dir / "metrics.jsonl").empty());
  {
    MetricsWriter writer(dir / "metrics.jsonl", 0);
    writer.append(train(1, 0.1 + 0.2));
    writer.append(train(2, std::nan("")));
    writer.append({std::string(kSampleRecord), 2, {}, {{"text", "a\n</script>\xFF\"b"}}});
  }
  const auto records = read_metrics(dir / "metrics.jsonl");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].values.at("loss"), 0.1 + 0.2);
  EXPECT_TRUE(std::isnan(records[1].values.at("loss")));
  EXPECT_EQ(records[2].kind, "sample");
  EXPECT_EQ(records[2].texts.at("text"), "a\n</script>\xEF\xBF\xBD\"b");
}

TEST(Metrics, ResumeCutsWhatLiesBeyondAndATornLine) {
  TempDir dir;
  const auto path = dir / "metrics.jsonl";
  write_file_atomically(path, metrics_line(train(1, 4)) + metrics_line(train(2, 3)) + "garbage\n" +
                                  metrics_line(train(3, 2)) + metrics_line(train(4, 1)).substr(0, 20));
  EXPECT_EQ(read_metrics(path).size(), 3u);
  {
    MetricsWriter writer(path, 2);
    writer.append(train(3, 2.5));
  }
  EXPECT_EQ(read_file(path), metrics_line(train(1, 4)) + metrics_line(train(2, 3)) + metrics_line(train(3, 2.5)));
  {
    MetricsWriter writer(path, 3);  // nothing to cut
    writer.append(train(3, 2.25));
  }
  const auto records = read_metrics(path);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[2].values.at("loss"), 2.25);
}

TEST(Metrics, MutatedFilesNeverCrash) {
  TempDir dir;
  const std::string good =
      metrics_line(train(1, 4)) + metrics_line(train(2, 3)) + metrics_line({"sample", 2, {}, {{"text", "story"}}});
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    {
      std::filesystem::remove(dir / "m");
      OutputFile file(dir / "m", OutputFile::Mode::kCreate);
      file.write(test::mutate(good, random));
    }
    EXPECT_LE(read_metrics(dir / "m").size(), 40u);
  }
}

}  // namespace
}  // namespace fabula
