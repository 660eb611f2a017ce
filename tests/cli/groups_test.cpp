// Group maps from a token file.
#include <algorithm>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

Args groups(const std::string& out, const Args& more = {}) {
  return Args{"data", "groups", scene().path("stories.tokens"), "--out", scene().path(out)} + more;
}

// The scene's vocabulary has 300 tokens.
TEST(Groups, EveryKindIsAWholeMap) {
  for (const std::string kind : {"clustered", "frequency", "id_ranges", "random"}) {
    const nlohmann::json summary = fabula_ok(groups(kind + ".json", {"--map", kind, "--json"})).json();
    EXPECT_EQ(summary["vocab_size"], 300) << kind;
    EXPECT_EQ(summary["groups"], 17);  // of 18
    EXPECT_LE(summary["largest_group"], 18);
    const auto map = nlohmann::json::parse(read(scene().path(kind + ".json")));
    EXPECT_EQ(map["vocab_size"], 300);
    std::vector<int> tokens;
    for (const nlohmann::json& group : map["groups"]) tokens.insert(tokens.end(), group.begin(), group.end());
    std::sort(tokens.begin(), tokens.end());
    ASSERT_EQ(tokens.size(), 300u);
    for (int token = 0; token < 300; ++token) EXPECT_EQ(tokens[static_cast<std::size_t>(token)], token);
  }
}

TEST(Groups, SizesShortlistAndText) {
  const Result result = fabula_ok(groups("sizes.json", {"--shortlist", "20", "--groups", "40", "--group-size", "9",
                                                        "--tokenizer", scene().path("tokenizer.json")}));
  for (const std::string part : {"shortlist: 20 tokens", "40 groups of", "group "})
    EXPECT_NE(result.err.find(part), std::string::npos) << part << " is not in: " << result.err;
  const auto map = nlohmann::json::parse(read(scene().path("sizes.json")));
  EXPECT_EQ(map["shortlist"].size(), 20u);
  EXPECT_EQ(map["groups"].size(), 40u);
  for (const nlohmann::json& group : map["groups"]) EXPECT_LE(group.size(), 9u);
}

TEST(Groups, TheSeedDecides) {
  fabula_ok(groups("seed1.json", {"--seed", "1"}));
  fabula_ok(groups("seed1again.json", {"--seed", "1"}));
  fabula_ok(groups("seed2.json", {"--seed", "2"}));
  EXPECT_EQ(read(scene().path("seed1.json")), read(scene().path("seed1again.json")));
  EXPECT_NE(read(scene().path("seed1.json")), read(scene().path("seed2.json")));
}

TEST(Groups, FromEmbeddings) {
  fabula_ok(groups("text.json"));
  const nlohmann::json summary =
      fabula_ok(groups("embeddings.json", {"--embeddings", scene().finished_run(), "--json"})).json();
  EXPECT_EQ(summary["groups"], 17);
  EXPECT_NE(read(scene().path("embeddings.json")), read(scene().path("text.json")));

  // A body's file alone has its tensors without "transformer.", as the published GPT-2 has.
  const std::string bare = scene().copy_of_finished_run("bare");
  std::string file = read(bare + "/model.safetensors");
  const std::string named = "\"transformer.wte.weight\"", short_name = "\"wte.weight\"            ";
  ASSERT_EQ(named.size(), short_name.size());
  ASSERT_NE(file.find(named), std::string::npos);
  write(bare + "/model.safetensors", file.replace(file.find(named), named.size(), short_name));
  fabula_ok(groups("bare.json", {"--embeddings", bare}));
  EXPECT_EQ(read(scene().path("bare.json")), read(scene().path("embeddings.json")));

  fabula_ok({"tokenizer", "train", scene().path("stories.txt"), "--vocab-size", "280", "--out",
             scene().path("tokenizer280.json")});
  fabula_ok({"data", "prepare", scene().path("valid.txt"), "--tokenizer", scene().path("tokenizer280.json"), "--out",
             scene().path("280.tokens")});
  expect_refusal(fabula({"data", "groups", scene().path("280.tokens"), "--out", scene().path("no.json"), "--embeddings",
                         scene().finished_run()}),
                 2, {"model.safetensors", "wte.weight is [300, 32]", "280 tokens"});
  expect_refusal(fabula(groups("no.json", {"--tokenizer", scene().path("tokenizer280.json")})), 2,
                 {"another tokenizer"});
  expect_refusal(fabula(groups("no.json", {"--embeddings", scene().path("nowhere")})), 1, {"nowhere"});
  EXPECT_FALSE(std::filesystem::exists(scene().path("no.json")));
}

TEST(Groups, BadInput) {
  const auto refuse = [](const Args& more, const std::vector<std::string>& parts) {
    expect_refusal(fabula(groups("no.json", more)), 2, parts);
  };
  refuse({"--group-size", "0"}, {"--group-size"});
  refuse({"--group-size", "301"}, {"group_size is 301", "1 to 300"});
  refuse({"--group-size", "-1"}, {"--group-size"});
  refuse({"--shortlist", "300"}, {"shortlist is 300", "0 to 299"});
  refuse({"--shortlist", "-1"}, {"--shortlist"});
  refuse({"--groups", "0"}, {"--groups"});
  refuse({"--groups", "2", "--group-size", "10"}, {"groups is 2", "30 to 300"});
  refuse({"--groups", "18", "--map", "id_ranges"}, {"groups is 18", "need 17"});
  refuse({"--map", "sorted"}, {"--map", "clustered", "random"});
  refuse({"--map", "random", "--embeddings", "x"}, {"--embeddings", "clustered"});
  EXPECT_NE(fabula({"data", "groups", scene().path("stories.txt"), "--out", scene().path("no.json")}).status, 0);
  EXPECT_FALSE(std::filesystem::exists(scene().path("no.json")));
  expect_refusal(fabula({"data", "groups"}), 2, {"tokens is required"});
}

}  // namespace
}  // namespace fabula::cli_test
