// Where texts end: the ids and names that a folder's files state, and the flag for where they state none.
#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;
constexpr int kEot = 299;

void edit(const std::string& path, const std::function<void(json&)>& change) {
  json root = json::parse(read(path));
  change(root);
  write(path, root.dump());
}

/// The finished run with <eos> in the place of <|endoftext|>, and nothing that says so.
std::string run_with_eos(const std::string& name) {
  const std::string run = scene().copy_of_finished_run(name);
  edit(run + "/tokenizer.json", [](json& root) { root["added_tokens"][0]["content"] = "<eos>"; });
  edit(run + "/config.json", [](json& root) { root["eos_token_id"] = root["bos_token_id"] = nullptr; });
  for (const char* file : {"/tokenizer_config.json", "/generation_config.json"}) std::filesystem::remove(run + file);
  return run;
}

double score(const std::string& run, const std::string& text, const Args& more = {}) {
  return fabula_ok(Args{"score", run, "--text", text, "--json"} + more).json()["log_p"].get<double>();
}

std::string generated(const std::string& run, int max_tokens = 6) {
  return fabula_ok({"generate", run, "--temperature", "0", "--max-tokens", std::to_string(max_tokens), "--json"})
      .json()[0]["text"];
}

TEST(EndToken, ARunStatesItsIds) {
  const json config = json::parse(read(scene().finished_run() + "/config.json"));
  EXPECT_EQ(config["eos_token_id"], kEot);
  EXPECT_EQ(config["bos_token_id"], kEot);
}

TEST(EndToken, GenerationStopsAtTheIdsOfTheFolder) {
  const std::string run = scene().copy_of_finished_run("stops");
  const std::string first = generated(run, 1), all = generated(run);
  ASSERT_GT(all.size(), first.size());
  const json tokens = fabula_ok({"score", run, "--text", first, "--json"}).json()["tokens"];
  ASSERT_EQ(tokens.size(), 1u);
  edit(run + "/config.json", [&](json& root) { root["eos_token_id"] = tokens[0]["id"]; });
  EXPECT_EQ(generated(run), "");
  edit(run + "/config.json", [&](json& root) { root["eos_token_id"] = {kEot, tokens[0]["id"]}; });
  EXPECT_EQ(generated(run), "");
  edit(run + "/config.json", [&](json& root) { root["eos_token_id"] = kEot; });
  EXPECT_EQ(generated(run), all);
  write(run + "/generation_config.json", json{{"eos_token_id", {kEot, tokens[0]["id"]}}}.dump());
  EXPECT_EQ(generated(run), "");
}

TEST(EndToken, OfAnotherNameComesFromTheConfigOrTheFlag) {
  const std::string run = run_with_eos("eos"), text = "Once upon a time";
  const double expected = score(scene().finished_run(), text);
  expect_refusal(fabula({"score", run, "--text", text}), 1, {"no token that ends a document", "--end-token"});
  expect_refusal(fabula({"score", run, "--text", text, "--end-token", "<s>"}), 2, {"\"<s>\"", "\"<eos>\""});
  EXPECT_EQ(score(run, text, {"--end-token", "<eos>"}), expected);
  edit(run + "/config.json", [](json& root) { root["eos_token_id"] = kEot; });
  EXPECT_EQ(score(run, text), expected);
  const Args prepare{"data", "prepare", scene().path("valid.txt"), "--out", scene().path("eos.tokens"), "--tokenizer"};
  fabula_ok(prepare + Args{run});
  const Args eval{"eval", run, "--json", "--data"};
  const json loss = fabula_ok(eval + Args{scene().path("eos.tokens")}).json()["loss"];
  EXPECT_EQ(
      loss,
      fabula_ok({"eval", scene().finished_run(), "--data", scene().path("valid.tokens"), "--json"}).json()["loss"]);
  EXPECT_EQ(fabula_ok(eval + Args{scene().path("valid.txt")}).json()["loss"], loss);
}

TEST(EndToken, IsKeptByImportAndTraining) {
  const std::string run = run_with_eos("eos_kept"), imported = scene().path("imported.json");
  fabula_ok({"tokenizer", "import", run + "/tokenizer.json", "--end-token", "<eos>", "--out", imported});
  fabula_ok({"train", scene().path("config.json"), "--data", scene().path("valid.txt"), "--tokenizer", imported,
             "--out", scene().path("of_eos"), "--set", "train.steps=1"});
  const json config = json::parse(read(scene().path("of_eos/config.json")));
  EXPECT_EQ(config["eos_token_id"], kEot);
  EXPECT_EQ(config["bos_token_id"], kEot);
  fabula_ok({"score", scene().path("of_eos"), "--text", "Once"});
}

TEST(EndToken, ATokenizerMayHaveMoreTokensThanTheModel) {
  const std::string run = scene().copy_of_finished_run("padded"), text = "Once upon a time";
  edit(run + "/tokenizer.json", [](json& root) {
    root["added_tokens"].push_back({{"id", kEot + 1}, {"content", "[PAD]"}});
  });
  const Result result = fabula_ok({"score", run, "--text", text, "--json"});
  EXPECT_EQ(result.json()["log_p"].get<double>(), score(scene().finished_run(), text));
  EXPECT_NE(result.err.find("the tokenizer has 301 tokens, config.json says vocab_size 300"), std::string::npos);
  for (const Args& command :
       {Args{"score", run, "--text", "Once[PAD]"}, Args{"generate", run, "--prompt", "Once[PAD]"}}) {
    const Result refused = fabula(command);
    EXPECT_EQ(refused.status, 2);
    EXPECT_NE(refused.err.find("id 300 (\"[PAD]\"), the model has 300 tokens"), std::string::npos) << refused.err;
  }
}

}  // namespace
}  // namespace fabula::cli_test
