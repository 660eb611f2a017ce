// What heads cost: `plan --compare-heads` and `bench heads`. Figures of time are only seen to be there.
#include <set>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

/// The scene's config asks for a grouped head; its vocabulary has 300 tokens: a shortlist of 75, rank 32 of 32.
const std::set<std::string> kNames{"full tied",
                                   "full untied",
                                   "fused tied",
                                   "fused tied bias",
                                   "adaptive",
                                   "grouped",
                                   "low_rank 32",
                                   "per_group clustered",
                                   "per_group clustered tied",
                                   "shortlist 75 + scale_shift",
                                   "shortlist 75 + low_rank 32",
                                   "shortlist 75 + per_group clustered tied"};

std::map<std::string, nlohmann::json> by_head(const nlohmann::json& table) {
  std::map<std::string, nlohmann::json> rows;
  for (const nlohmann::json& row : table["rows"])
    EXPECT_TRUE(rows.emplace(row["head"], row).second) << row["head"] << " is there twice";
  return rows;
}

std::set<std::string> names_of(const std::map<std::string, nlohmann::json>& rows) {
  std::set<std::string> names;
  for (const auto& [name, row] : rows) names.insert(name);
  return names;
}

Args compare(const Args& more = {}) {
  return Args{"plan", scene().path("config.json"), "--set", "vocab_size=300", "--compare-heads"} + more;
}
Args heads(const Args& more = {}) {
  return Args{"bench", "heads", scene().path("config.json"), "--steps", "1", "-o", "json"} + more;
}

TEST(Bench, CompareHeads) {
  auto rows = by_head(fabula_ok(compare({"-o", "json"})).json());
  EXPECT_EQ(names_of(rows), kNames);
  for (const auto& [name, row] : rows) {
    EXPECT_EQ(row["fits"], "yes") << name;
    for (const char* column : {"parameters", "step MiB", "head peak MiB", "GFLOP/step", "logits/position"})
      EXPECT_GT(row[column].get<double>(), 0) << name << ": " << column;
  }
  const auto number = [&](const char* head, const char* column) { return rows[head][column].get<std::int64_t>(); };
  // D = 32, G = 17, S = 18: (G + S)(D + 1) + 2 G S.
  EXPECT_EQ(number("grouped", "head parameters"), 35 * 33 + 2 * 17 * 18);
  EXPECT_EQ(number("grouped", "logits/position"), 35);
  EXPECT_EQ(number("full tied", "head parameters"), 0);
  EXPECT_EQ(number("full untied", "head parameters"), 300 * 32);
  EXPECT_EQ(number("fused tied bias", "head parameters"), 300);
  EXPECT_EQ(number("full tied", "logits/position"), 300);
  EXPECT_EQ(number("shortlist 75 + scale_shift", "logits/position"), 75 + 15 + 15);
  EXPECT_LT(number("grouped", "parameters"), number("full untied", "parameters"));
  EXPECT_LT(rows["grouped"]["step MiB"].get<double>(), rows["full untied"]["step MiB"].get<double>());
  EXPECT_LT(rows["grouped"]["GFLOP/step"].get<double>(), rows["full tied"]["GFLOP/step"].get<double>());
  EXPECT_EQ(fabula_ok(compare({"--json"})).out, fabula_ok(compare({"-o", "json"})).out);
  const nlohmann::json half = fabula_ok(compare({"--json", "--precision", "fp16"})).json();
  EXPECT_NE(half["notes"].dump().find(", fp16,"), std::string::npos) << half["notes"];
  EXPECT_EQ(names_of(by_head(half)), kNames);
}

TEST(Bench, CompareHeadsFormatsAndConfiguredHead) {
  const std::string markdown = fabula_ok(compare()).out;
  EXPECT_NE(markdown.find("| head "), std::string::npos);
  const std::string csv = fabula_ok(compare({"-o", "csv"})).out;
  EXPECT_NE(csv.find("\nhead,head parameters,"), std::string::npos);
  const auto rows = by_head(fabula_ok(compare({"--json", "--set", "head.group_size=40"})).json());
  EXPECT_EQ(rows.at("grouped")["logits/position"], 8 + 40);  // the config's groups
  const auto own = by_head(fabula_ok(compare({"--json", "--set", "head.shortlist=10"})).json());
  EXPECT_EQ(own.size(), kNames.size() + 1);
  EXPECT_EQ(own.at("configured")["logits/position"], 10 + 17 + 18);  // 290 others
}

TEST(Bench, CompareHeadsSaysWhatDoesNotFit) {
  write(scene().path("small.json"), R"({"heap_cap": 65536})");
  const auto rows = by_head(fabula_ok(compare({"--json", "--limits", scene().path("small.json")})).json());
  EXPECT_EQ(names_of(rows), kNames);
  for (const auto& [name, row] : rows)
    EXPECT_EQ(row["fits"].get<std::string>().rfind("does not fit: ", 0), 0u) << name << ": " << row["fits"];
}

TEST(Bench, CompareHeadsBeyondABinding) {
  auto rows =
      by_head(fabula_ok(compare({"--json", "--set", "vocab_size=1000000", "--limits", "vulkan-minimum"})).json());
  EXPECT_NE(rows["full tied"]["fits"].get<std::string>().find("134217728 bytes"), std::string::npos)
      << rows["full tied"];
  EXPECT_EQ(rows["full tied"]["step MiB"], "");
  EXPECT_EQ(rows["fused tied"]["fits"], "yes");
  EXPECT_EQ(rows["shortlist 512 + scale_shift"]["fits"], "yes");
}

TEST(Bench, HeadsOfATextAndGroupSizes) {
  const nlohmann::json table =
      fabula_ok(heads({"--tokens", scene().path("stories.tokens"), "--group-sizes", "10,30"})).json();
  EXPECT_GE(table["notes"].size(), 4u);
  auto rows = by_head(table);
  std::set<std::string> names = kNames;
  names.insert({"grouped S=10", "grouped S=30"});
  EXPECT_EQ(names_of(rows), names);
  for (const auto& [name, row] : rows) {
    EXPECT_EQ(row["vocabulary"], 300) << name;
    for (const char* column : {"step plan MiB", "step peak MiB", "head alone MiB", "step tokens/s", "head tokens/s"}) {
      ASSERT_TRUE(row[column].is_number()) << name << ": " << column << " is " << row[column];
      EXPECT_GT(row[column].get<double>(), 0) << name << ": " << column;
    }
    EXPECT_LT(row["head alone MiB"].get<double>(), row["step plan MiB"].get<double>()) << name;
  }
  EXPECT_EQ(rows["grouped S=10"]["head parameters"], (30 + 10) * 33 + 2 * 30 * 10);
}

TEST(Bench, HeadsOverVocabularies) {
  const nlohmann::json table = fabula_ok(heads({"--vocab", "100,2500", "--heads", "full t,shortlist"})).json();
  std::vector<std::pair<std::string, int>> rows;
  for (const nlohmann::json& row : table["rows"]) rows.emplace_back(row["head"], row["vocabulary"]);
  const std::vector<std::pair<std::string, int>> expected{{"full tied", 100},
                                                          {"shortlist 25 + scale_shift", 100},
                                                          {"shortlist 25 + low_rank 32", 100},
                                                          {"shortlist 25 + per_group clustered tied", 100},
                                                          {"full tied", 2500},
                                                          {"shortlist 512 + scale_shift", 2500},
                                                          {"shortlist 512 + low_rank 32", 2500},
                                                          {"shortlist 512 + per_group clustered tied", 2500}};
  EXPECT_EQ(rows, expected);
}

TEST(Bench, HeadsThatDoNotFitAreNotRun) {
  write(scene().path("small.json"), R"({"heap_cap": 65536})");
  const nlohmann::json table =
      fabula_ok(heads({"--heads", "grouped", "--vocab", "300", "--limits", scene().path("small.json")})).json();
  ASSERT_EQ(table["rows"].size(), 1u);
  const nlohmann::json& row = table["rows"][0];
  EXPECT_EQ(row["step tokens/s"].get<std::string>().rfind("does not fit: ", 0), 0u) << row;
  EXPECT_EQ(row["step peak MiB"], "");
  EXPECT_GT(row["step plan MiB"].get<double>(), 0.0625);
}

// A head of the config's own, or one that is asked for, need not fit every vocabulary of a sweep.
TEST(Bench, SweepsGoOnWhereAVocabularyIsTooSmall) {
  const auto table = fabula_ok(heads({"--vocab", "50,3000", "--set", "head.kind=grouped", "--set", "head.shortlist=600",
                                      "--heads", "shortlist 512 + scale_shift,configured"}))
                         .json();
  std::vector<std::string> rows;
  for (const auto& row : table["rows"]) rows.push_back(row["head"].get<std::string>() + " " + row["vocabulary"].dump());
  EXPECT_EQ(rows, (std::vector<std::string>{"configured 3000", "shortlist 512 + scale_shift 3000"}));
}

TEST(Bench, EveryCommandRespectsAMapFile) {
  const Args map{
      "--set", "head.kind=grouped", "--set", "head.map=file", "--set", "head.map_file=" + scene().path("none.json")};
  const Args config{scene().path("config.json"), "--set", "vocab_size=300"};
  for (const Args& command : {Args{"plan"}, Args{"bench", "train"}, Args{"bench", "heads"}})
    expect_refusal(fabula(command + config + map), 1, {"none.json"});
  expect_refusal(fabula(Args{"plan", scene().path("config.json"), "--set", "vocab_size=null"} + map), 2,
                 {"vocab_size is open", "map's"});
}

TEST(Bench, TrainRunsTheTrainersSteps) {
  const nlohmann::json table = fabula_ok({"bench", "train", scene().path("config.json"), "--set", "vocab_size=300",
                                          "--steps", "2", "--set", "train.grad_accumulation=2", "-o", "json"})
                                   .json();
  ASSERT_EQ(table["rows"].size(), 3u);
  for (const nlohmann::json& row : table["rows"]) {
    EXPECT_GT(row["tokens/s"].get<double>(), 0) << row;
    EXPECT_GE(row["idle %"].get<double>(), 0) << row;
    EXPECT_LE(row["idle %"].get<double>(), 100) << row;
    EXPECT_GE(row["submissions"].get<double>(), 1) << row;
  }
}

TEST(Bench, ProfileByKernelAndByOp) {
  const Args profile{"bench", "train",    scene().path("config.json"), "--set", "vocab_size=300", "--steps", "2", "-o",
                     "json",  "--profile"};
  const nlohmann::json kernels = fabula_ok(profile).json(), ops = fabula_ok(profile + Args{"--by", "op"}).json();
  std::map<std::string, int> launches;
  double share = 0;
  for (const nlohmann::json& row : kernels["rows"]) {
    launches[row["op"].get<std::string>()] += row["launches"].get<int>();
    share += row["% of step"].get<double>();
    EXPECT_GT(row["ms"].get<double>(), 0) << row;
    EXPECT_TRUE(row["roof"] == "memory" || row["roof"] == "arithmetic") << row;
    EXPECT_TRUE(row["% of roof"].is_number()) << row;
  }
  EXPECT_NEAR(share, 100, 5);
  ASSERT_EQ(ops["rows"].size(), launches.size());
  for (const nlohmann::json& row : ops["rows"]) {
    EXPECT_EQ(row["launches"], launches.at(row["op"])) << row;
    EXPECT_FALSE(row.contains("kernel"));
  }
  EXPECT_TRUE(launches.count("adamw") && launches.count("matmul")) << ops;
  EXPECT_NE(kernels["notes"].dump().find("roof of this device"), std::string::npos);
  EXPECT_NE(kernels["notes"].dump().find("causal"), std::string::npos);
  expect_refusal(fabula({"bench", "train", scene().path("config.json"), "--by", "op"}), 2, {"--profile"});
  expect_refusal(fabula(profile + Args{"--filter", "full"}), 2, {"--profile", "--filter"});
  expect_refusal(fabula(profile + Args{"--tokens", scene().path("train.tokens")}), 2, {"--profile", "--tokens"});
}

TEST(Bench, BadInput) {
  const auto refuse = [](const Args& more, const std::vector<std::string>& parts) {
    expect_refusal(fabula(heads(more)), 2, parts);
  };
  refuse({"--vocab", "1"}, {"--vocab"});
  refuse({"--vocab", "300,many"}, {"--vocab", "many"});
  refuse({"--vocab", "300", "--tokens", scene().path("stories.tokens")}, {"--tokens", "--vocab"});
  refuse({"--group-sizes", "0"}, {"--group-sizes"});
  refuse({"--vocab", "300", "--group-sizes", "20,301"}, {"301", "1 to 300"});
  refuse({"--heads", "gruoped"}, {"no head has \"gruoped\"", "grouped", "full tied"});
  expect_refusal(
      fabula({"bench", "train", scene().path("config.json"), "--set", "vocab_size=300", "--filter", "nosuch"}), 2,
      {"no head has \"nosuch\"", "grouped", "fused tied"});
  expect_refusal(fabula({"bench", "ops", "--filter", "nosuch"}), 2, {"no benchmark has \"nosuch\""});
  refuse({"--vocabulary", "3"}, {"no flag \"--vocabulary\"", "--vocab"});
  expect_refusal(fabula(heads({"--tokens", scene().path("stories.txt")})), 1, {"stories.txt"});
  expect_refusal(fabula({"plan", scene().path("config.json"), "-o", "csv"}), 2, {"--compare-heads"});
  expect_refusal(fabula(compare({"--set", "attn_pdrop=0.1"})), 1, {"dropout of attention weights", "attn_pdrop"});
  expect_refusal(fabula({"plan", scene().path("config.json"), "--set", "head.group_size=3000"}), 2,
                 {"head.group_size is 3000", "2048"});
  expect_refusal(fabula(compare({"-o", "html"})), 2, {"md", "csv", "json"});
}

}  // namespace
}  // namespace fabula::cli_test
