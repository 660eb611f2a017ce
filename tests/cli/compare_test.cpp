// A study from the command line: killed, stopped by its time limit, listed, refused.
#include <algorithm>
#include <csignal>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;

/// A study of the scene's config and data.
Args compare(const std::string& out, const Args& more = {}) {
  static const bool written = [] {
    write(scene().path("heads.json"), R"({"config": "config.json", "data": {"train": "stories.tokens"},
      "set": {"train.steps": 20, "train.sample_every": 0, "train.eval_every": 5}, "learning_rates": [4e-3, 8e-3],
      "rows": [{"name": "fused", "set": {"head.kind": "fused"}},
               {"name": "clustered", "set": {"head.map": "clustered", "head.modulation": "per_group"}},
               {"name": "long", "set": {"train.steps": 1000000}}]})");
    return true;
  }();
  EXPECT_TRUE(written);
  return Args{"compare", scene().path("heads.json"), "--out", scene().path(out)} + more;
}

const Args kBoth{"--row", "fused,clustered"};

/// OUT/study.json but for what a clock says.
json table(const std::string& out) {
  json result = json::parse(read(scene().path(out + "/study.json")));
  for (const char* list : {"rows", "cells"})
    for (json& entry : result[list]) EXPECT_EQ(entry.erase("timings"), 1u);
  return result;
}

RunOptions kill_behind(int runs) {
  RunOptions options;
  options.signal_when = [=](const std::string& err) {
    return err.find("[" + std::to_string(runs) + "/4]") == err.npos ? 0 : SIGKILL;
  };
  return options;
}

TEST(Compare, KilledItGivesTheSameTable) {
  fabula_ok(compare("straight", kBoth));
  const json expected = table("straight");
  EXPECT_EQ(expected["cells"].size(), 4u);
  int kills = 0;
  for (const int runs : {1, 2, 3}) kills += fabula(compare("killed", kBoth), kill_behind(runs)).status == 128 + SIGKILL;
  EXPECT_GE(kills, 2);
  const Result last = fabula_ok(compare("killed", kBoth));
  EXPECT_NE(last.err.find("done: 4 runs"), std::string::npos) << last.err;
  EXPECT_EQ(table("killed"), expected);
}

TEST(Compare, StopsAtItsTimeLimitAndGoesOn) {
  const Args long_row = compare("limited", {"--row", "long"});
  const Result stopped = fabula_ok(long_row + Args{"--time-limit", "2s"});
  for (const std::string part : {"stopped at the time limit: 0 of 2 runs are finished",
                                 "Continue with:\n  fabula compare ", " --row long --time-limit 2\n"})
    EXPECT_NE(stopped.err.find(part), std::string::npos) << part << " is not in " << stopped.err;
  EXPECT_EQ(fabula(compare("limited", {"--row", "fused"})).status, 0);
  EXPECT_EQ(table("limited")["cells"].size(), 2u);
}

TEST(Compare, ListsCommandsThatTrainARunAlone) {
  const Result result = fabula_ok(compare("listed", kBoth + Args{"--list"}));
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 8);
  for (const char* part : {"to do     clustered_lr0.004_seed1", "fabula train ",
                           "--set head.kind=fused --set train.learning_rate=0.008 --set train.seed=1"})
    EXPECT_NE(result.out.find(part), std::string::npos) << part << " is not in " << result.out;
  fabula_ok(compare("listed", {"--table"}));
  EXPECT_TRUE(table("listed")["cells"].empty());
  EXPECT_NE(read(scene().path("listed/study.html")).find("Nothing is finished yet"), std::string::npos);
}

TEST(Compare, BadInputIsRefused) {
  expect_refusal(fabula(compare("refused", {"--row", "fusd"})), 2,
                 {"no row \"fusd\"", "there are fused, clustered, long"});
  expect_refusal(fabula(compare("refused", {"--data", scene().path("nowhere")})), 1, {"nowhere"});
  expect_refusal(fabula({"compare", scene().path("none.json"), "--out", scene().path("refused")}), 1, {"none.json"});
  EXPECT_EQ(fabula(compare("refused", {"--time-limit", "soon"})).status, 2);
  EXPECT_EQ(fabula(compare("refused", {"--table", "--list"})).status, 2);
  EXPECT_FALSE(std::filesystem::exists(scene().path("refused/study.json")));
}

}  // namespace
}  // namespace fabula::cli_test
