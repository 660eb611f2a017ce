// `bench decode`. Figures of time are only seen to be there.
#include <set>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using Rows = std::map<std::pair<std::string, int>, nlohmann::json>;

/// By head and context.
Rows rows_of(const nlohmann::json& table) {
  Rows rows;
  for (const nlohmann::json& row : table["rows"])
    EXPECT_TRUE(rows.emplace(std::pair(row["head"], row["context"]), row).second) << row << " is there twice";
  return rows;
}

Args decode(const Args& more = {}) {
  return Args{"bench", "decode", scene().path("config.json"), "--repeats", "1"} + more;
}
Args of_300(const Args& more = {}) {
  return decode(Args{"--set", "vocab_size=300"} + more);
}

TEST(BenchDecode, GroupedBesideFull) {
  const nlohmann::json table = fabula_ok(of_300({"--slots", "1,3", "--contexts", "8,32", "--json"})).json();
  Rows rows = rows_of(table);
  ASSERT_EQ(rows.size(), 4u) << table;
  for (const char* head : {"full tied", "grouped"}) {
    for (const int context : {8, 32})
      for (const char* column : {"prompt tokens/s", "first token ms", "tokens/s, 1 slot", "tokens/s, 3 slots",
                                 "dispatches", "barriers", "submissions", "MB/token", "% of copy"}) {
        const nlohmann::json& cell = rows[std::pair(head, context)][column];
        ASSERT_TRUE(cell.is_number()) << head << ", " << context << ": " << column << " is " << cell;
        EXPECT_GE(cell.get<double>(), column == std::string("% of copy") ? 0 : 1e-6) << head << ": " << column;
      }
    const nlohmann::json &brief = rows[std::pair(head, 8)], &full = rows[std::pair(head, 32)];
    EXPECT_EQ(brief["dispatches"], full["dispatches"]);  // one recorded graph
    EXPECT_LT(brief["MB/token"].get<double>(), full["MB/token"].get<double>());
    EXPECT_EQ(brief["vocabulary"], 300);
  }
  EXPECT_LT((rows[{"grouped", 32}]["MB/token"].get<double>()), (rows[{"full tied", 32}]["MB/token"].get<double>()));
  EXPECT_NE(table["notes"].dump().find("GB/s copied"), std::string::npos) << table["notes"];
}

TEST(BenchDecode, VocabulariesHeadsAndCache) {
  const nlohmann::json table = fabula_ok(decode({"--vocab", "100,2500", "--heads", "fused tied b,low_rank", "--slots",
                                                 "2", "--cache", "fp16", "-o", "json"}))
                                   .json();
  std::vector<std::pair<std::string, int>> rows;
  for (const nlohmann::json& row : table["rows"]) {
    rows.emplace_back(row["head"], row["vocabulary"]);
    EXPECT_EQ(row["context"], 32);  // 64 would be beyond the model's
    EXPECT_TRUE(row["tokens/s, 2 slots"].is_number()) << row;
  }
  const std::vector<std::pair<std::string, int>> expected{
      {"fused tied bias", 100},  {"low_rank 32", 100},  {"shortlist 25 + low_rank 32", 100},
      {"fused tied bias", 2500}, {"low_rank 32", 2500}, {"shortlist 512 + low_rank 32", 2500}};
  EXPECT_EQ(rows, expected);
  EXPECT_NE(table["notes"].dump().find("keys and values fp16"), std::string::npos) << table["notes"];
}

TEST(BenchDecode, WeightFormats) {
  const nlohmann::json table = fabula_ok(of_300({"--weights", "fp32,fp16,int8", "--heads", "full tied", "--slots", "1",
                                                 "--contexts", "8", "--json"}))
                                   .json();
  std::vector<std::string> formats;
  std::vector<double> bytes;
  for (const nlohmann::json& row : table["rows"]) {
    formats.push_back(row["weights"]);
    bytes.push_back(row["MB/token"]);
  }
  ASSERT_EQ(formats, (std::vector<std::string>{"fp32", "fp16", "int8"}));
  EXPECT_LT(bytes[1], 0.8 * bytes[0]);
  EXPECT_LT(bytes[2], 0.8 * bytes[1]);  // of so small a model norms, places and log p are a good part
}

TEST(BenchDecode, ASavedModelComesFirst) {
  const Args saved{"bench", "decode", scene().finished_run(), "--repeats", "1", "--slots", "2", "--json"};
  const nlohmann::json table = fabula_ok(saved).json();
  ASSERT_EQ(table["rows"].size(), 3u) << table;
  EXPECT_EQ(table["rows"][0]["head"], "saved");
  EXPECT_GT(table["rows"][0]["tokens/s, 2 slots"].get<double>(), 0);
  const nlohmann::json changed = fabula_ok(saved + Args{"--set", "n_layer=2"}).json();  // its weights are of one
  EXPECT_EQ(changed["rows"].size(), 2u) << changed;
}

TEST(BenchDecode, WhatDoesNotFitSaysSo) {
  write(scene().path("small.json"), R"({"heap_cap": 400000})");
  const nlohmann::json table = fabula_ok(of_300({"--slots", "1,64", "--json", "--heads", "grouped", "--contexts", "32",
                                                 "--limits", scene().path("small.json")}))
                                   .json();
  const nlohmann::json& row = table["rows"][0];
  EXPECT_TRUE(row["tokens/s, 1 slot"].is_number()) << row;
  EXPECT_EQ(row["tokens/s, 64 slots"].get<std::string>().rfind("does not fit", 0), 0u) << row;
}

TEST(BenchDecode, ProfileByKernelAndByOp) {
  const Args profile = of_300({"--profile", "--json"});
  const nlohmann::json kernels = fabula_ok(profile).json(), ops = fabula_ok(profile + Args{"--by", "op"}).json();
  std::map<std::string, int> launches;
  double share = 0;
  for (const nlohmann::json& row : kernels["rows"]) {
    launches[row["op"].get<std::string>()] += row["launches"].get<int>();
    share += row["% of step"].get<double>();
    EXPECT_GT(row["ms"].get<double>(), 0) << row;
  }
  EXPECT_NEAR(share, 100, 30);  // one step: medians of kernels are not those of their sum
  for (const char* op : {"embed_tokens", "row_product", "cached_attention", "sample_tokens"})
    EXPECT_EQ(launches.count(op), 1u) << op << " is not in " << kernels;
  ASSERT_EQ(ops["rows"].size(), launches.size());
  for (const nlohmann::json& row : ops["rows"]) EXPECT_EQ(row["launches"], launches.at(row["op"])) << row;
  EXPECT_NE(kernels["notes"].dump().find("times as long"), std::string::npos) << kernels["notes"];
}

TEST(BenchDecode, BadInput) {
  const auto refuse = [](const Args& more, const std::vector<std::string>& parts) {
    expect_refusal(fabula(of_300(more)), 2, parts);
  };
  refuse({"--contexts", "8,33"}, {"a context of 33", "8 to 32"});
  refuse({"--contexts", "4"}, {"a context of 4", "8 to 32"});
  refuse({"--contexts", "0"}, {"--contexts"});
  refuse({"--slots", "65"}, {"--slots", "1 to 64"});
  refuse({"--heads", "gruoped"}, {"no head has \"gruoped\"", "grouped", "full tied"});
  refuse({"--by", "op"}, {"--profile"});
  refuse({"--cache", "fp8"}, {"--cache", "fp16"});
  refuse({"--weights", "fp32,int5"}, {"--weights", "int8"});
  refuse({"--prompt", "1"}, {"--prompt"});
  refuse({"--json", "-o", "csv"}, {"--json"});
  refuse({"--set", "n_positions=4", "--set", "train.sequence_length=4"}, {"4 positions", "from 8 on"});
}

}  // namespace
}  // namespace fabula::cli_test
