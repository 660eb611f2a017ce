#include "study/study_file.hpp"

#include <gtest/gtest.h>

#include "expect_error.hpp"
#include "formats/config_io.hpp"

namespace fabula::study {
namespace {

using test::expect_error;

constexpr const char* kStudy =
    R"({"title": "Heads", "config": "../c.json", "data": {"train": "d/t.tokens", "tokenizer": "gpt2.json"},
  "set": {"train.steps": 9, "train.precision": "bf16"}, "learning_rates": [1e-3, 0.01], "seeds": [1, 2],
  "rows": [
    {"name": "mapped", "set": {"head.kind": "grouped", "head.cutoffs": [1, 2]}, "map_of": {"row": "fused", "learning_rate": 0.01}},
    {"name": "fused", "group": "one level", "set": {"head.kind": "fused", "train.precision": "fp32"}, "seeds": [2, 1, 3]},
    {"name": "same-time", "time_of": "mapped", "learning_rates": [5e-4]}], "reference": "fused"})";

Study parse(const std::string& text, const std::filesystem::path& data = {}) {
  return parse_study(text, "studies/heads.json", data);
}
/// A study whose rows are these, and more of its keys.
Study with_rows(const std::string& rows, const std::string& more = R"(, "data": {})") {
  return parse(R"({"config": "c.json", "rows": [)" + rows + "]" + more + "}");
}
void expect_refusal(const std::vector<std::string>& parts, const std::string& rows,
                    const std::string& more = R"(, "data": {})") {
  expect_error(ErrorCode::kInvalidArgument, parts, [&] { with_rows(rows, more); });
}

TEST(StudyFile, IsRead) {
  const Study study = parse(kStudy);
  EXPECT_EQ(study.name, "heads");
  EXPECT_EQ(study.title, "Heads");
  EXPECT_EQ(study.config, "c.json");
  EXPECT_EQ(study.train, "studies/d/t.tokens");
  EXPECT_EQ(study.valid, "studies/valid.tokens");
  EXPECT_EQ(study.tokenizer, "studies/gpt2.json");
  EXPECT_EQ(study.reference, "fused");
  ASSERT_EQ(study.rows.size(), 3u);
  const StudyRow& mapped = study.rows[0];
  EXPECT_EQ(mapped.overrides, (std::vector<std::string>{"train.precision=bf16", "train.steps=9", "head.cutoffs=[1,2]",
                                                        "head.kind=grouped"}));
  EXPECT_EQ(mapped.learning_rates, (std::vector<double>{1e-3, 0.01}));
  EXPECT_EQ(mapped.seeds, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(mapped.map_of->row, "fused");
  EXPECT_EQ(mapped.map_of->learning_rate, 0.01);
  EXPECT_EQ(study.row("fused").group, "one level");
  EXPECT_EQ(study.row("fused").overrides.back(), "train.precision=fp32");  // has the last word
  EXPECT_EQ(study.row("same-time").time_of, "mapped");
  EXPECT_EQ(study.row("same-time").learning_rates, (std::vector<double>{5e-4}));
}

TEST(StudyFile, ThoseOfTheRepositoryAreValid) {
  const std::filesystem::path source = FABULA_SOURCE_DIR;
  int rows = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source / "configs" / "studies")) {
    const Study study = read_study(entry.path());
    for (const StudyRow& row : study.rows) {
      std::vector<std::string> overrides = row.overrides;
      if (row.map_of) overrides.emplace_back("head.map=clustered");
      const RunConfig config = load_config(study.config, overrides, ConfigNotes::kSilent);
      EXPECT_GT(config.train.steps, 0) << row.name;
      ++rows;
    }
  }
  EXPECT_GE(rows, 11);
}

TEST(StudyFile, AFolderOfDataOverridesWhereFilesLie) {
  const Study study = parse(kStudy, "elsewhere");
  EXPECT_EQ(study.train, "elsewhere/t.tokens");
  EXPECT_EQ(study.valid, "elsewhere/valid.tokens");
  EXPECT_EQ(study.tokenizer, "elsewhere/gpt2.json");
}

TEST(StudyFile, ARowStandsBehindWhatItNeeds) {
  const Study study = parse(kStudy);
  std::vector<std::string> names;
  for (const StudyRow* row : run_order(study)) names.push_back(row->name);
  EXPECT_EQ(names, (std::vector<std::string>{"fused", "mapped", "same-time"}));
}

TEST(StudyFile, ATextThatReadsAsANumberStaysOne) {
  EXPECT_EQ(with_rows(R"({"name": "a", "set": {"train.sample_prompt": "12", "b": true, "c": null}})").rows[0].overrides,
            (std::vector<std::string>{"b=true", "c=null", "train.sample_prompt=\"12\""}));
}

TEST(StudyFile, WhatIsMissingOrUnknownIsNamed) {
  expect_error(ErrorCode::kInvalidArgument, {"heads.json: config is missing"},
               [] { parse(R"({"data": {}, "rows": [{"name": "a"}]})"); });
  expect_error(ErrorCode::kInvalidArgument, {"heads.json: rows is missing"},
               [] { parse(R"({"config": "c", "data": {}})"); });
  expect_refusal({"rows is []"}, "");
  expect_refusal({"data is missing", "--data"}, R"({"name": "a"})", "");
  expect_refusal({"data: unknown key \"training\""}, R"({"name": "a"})", R"(, "data": {"training": "x"})");
  expect_refusal({"heads.json: unknown key \"seed\"; did you mean \"seeds\""}, R"({"name": "a"})",
                 R"(, "data": {}, "seed": [1])");
  expect_refusal({"row \"a\": unknown key \"timeof\"; did you mean \"time_of\""}, R"({"name": "a", "timeof": "b"})");
  expect_refusal({"row 2: name is missing"}, R"({"name": "a"}, {"set": {}})");
  expect_refusal({"row 1: is 3, expected an object"}, "3");
  expect_error(ErrorCode::kFormat, {"studies/heads.json"}, [] { parse("{\"config\": "); });
  expect_error(ErrorCode::kFormat, {"studies/heads.json", "twice"}, [] { parse(R"({"config": "a", "config": "b"})"); });
}

TEST(StudyFile, NamesAreFileNames) {
  expect_refusal({"row \"a\": two rows have this name"}, R"({"name": "a"}, {"name": "b"}, {"name": "a"})");
  for (const char* name : {"a/b", "..", "-a", "a b", "\\u00e9"})
    expect_refusal({"letters, digits"}, std::string(R"({"name": ")") + name + R"("})");
}

TEST(StudyFile, ListsHaveEntriesAndNoneTwice) {
  const std::string row = R"({"name": "a")";
  expect_refusal({"heads.json: learning_rates is an empty list"}, row + "}", R"(, "data": {}, "learning_rates": [])");
  expect_refusal({"row \"a\": seeds is an empty list"}, row + R"(, "seeds": []})");
  expect_refusal({"row \"a\": seeds has 1 twice"}, row + R"(, "seeds": [1, 2, 1]})");
  expect_refusal({"row \"a\": learning_rates has 0.001 twice"}, row + R"(, "learning_rates": [1e-3, 0.001]})");
  expect_refusal({"an entry of learning_rates is 0, expected numbers above 0"}, row + R"(, "learning_rates": [0]})");
  expect_refusal({"an entry of seeds is 1.5"}, row + R"(, "seeds": [1.5]})");
  expect_refusal({"an entry of seeds is -1"}, row + R"(, "seeds": [-1]})");
  expect_refusal({"learning_rates is 0.1, expected a list"}, row + R"(, "learning_rates": 0.1})");
}

TEST(StudyFile, KeysThatTheStudySaysElsewhereAreRefused) {
  expect_refusal({"row \"a\": set has train.seed, which seeds says"}, R"({"name": "a", "set": {"train.seed": 3}})");
  expect_refusal({"set has train.learning_rate, which learning_rates says"}, R"({"name": "a"})",
                 R"(, "data": {}, "set": {"train.learning_rate": 3})");
  expect_refusal({"row \"b\": set has train.steps, which time_of says"},
                 R"({"name": "a"}, {"name": "b", "time_of": "a", "set": {"train.steps": 3}})");
  expect_refusal({"row \"b\": set has head.map, which map_of says"},
                 R"({"name": "a"}, {"name": "b", "map_of": "a", "set": {"head.map": "random"}})");
}

TEST(StudyFile, RowsThatAreNotThereAreNamed) {
  expect_refusal({"reference is \"fuse\"", "did you mean \"fused\"", "there are fused"}, R"({"name": "fused"})",
                 R"(, "data": {}, "reference": "fuse")");
  expect_refusal({"row \"a\": map_of is \"b\"", "there are a"}, R"({"name": "a", "map_of": "b"})");
  expect_refusal({"row \"a\": time_of is \"b\""}, R"({"name": "a", "time_of": "b"})");
  expect_refusal({"row \"a\": map_of: row is missing"}, R"({"name": "a", "map_of": {"learning_rate": 1}})");
  expect_refusal(
      {"row \"b\": map_of names learning rate 2 of \"a\", which has 1, 3"},
      R"({"name": "a", "learning_rates": [1, 3]}, {"name": "b", "map_of": {"row": "a", "learning_rate": 2}})");
  expect_refusal({"row \"b\": seed 2 is none of \"a\""},
                 R"({"name": "a", "seeds": [1]}, {"name": "b", "seeds": [1, 2], "map_of": "a"})");
  expect_refusal({"row \"a\"", "needs itself"}, R"({"name": "a", "time_of": "a"})");
  expect_refusal({"needs itself"}, R"({"name": "a", "time_of": "b"}, {"name": "b", "map_of": "a"})");
  const Study study = with_rows(R"({"name": "fused"}, {"name": "full"})");
  expect_error(ErrorCode::kInvalidArgument,
               {"there is no row \"ful\"", "did you mean \"full\"", "there are fused, full"},
               [&] { study.row("ful"); });
}

}  // namespace
}  // namespace fabula::study
