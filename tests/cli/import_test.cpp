// llama2.c's files: a checkpoint becomes a folder that every command reads; its kind of tokenizer serves training too.
#include "cli/scene.hpp"
#include "support/llama2c_model.hpp"
#include "text/llama2c_vocabulary.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;

/// Words and letters enough for a text without bytes.
std::vector<test::ScoredPiece> pieces() {
  std::vector<test::ScoredPiece> list = {{" t", -1}, {"he", -2}, {" a", -3}, {"nd", -4}, {" the", -5}, {" and", -6}};
  for (char letter = 'a'; letter <= 'z'; ++letter) list.push_back({std::string(1, letter), -100});
  list.push_back({" ", -100});
  return test::with_bytes(list);
}

std::string tokenizer_bin() {
  const std::string path = scene().path("tok.bin");
  write(path, test::llama2c_file(pieces()));
  return path;
}

TEST(Import, ATokenizerWithByteFallbackTrains) {
  const std::string tokenizer = tokenizer_bin(), run = scene().path("fallback");
  const Args train = {"train",       scene().path("config.json"),
                      "--data",      scene().path("stories.txt"),
                      "--valid",     scene().path("valid.txt"),
                      "--tokenizer", tokenizer,
                      "--out",       run,
                      "--set"};
  fabula_ok(train + Args{"train.steps=8"});
  fabula_ok(train + Args{"train.steps=10", "--resume", "auto"});
  const json config = json::parse(read(run + "/config.json"));
  EXPECT_EQ(config["vocab_size"], pieces().size());
  EXPECT_EQ(config["eos_token_id"], 1);
  // The run's own tokenizer.json and the file that it came from are one tokenizer.
  const json counts = fabula_ok({"data", "prepare", scene().path("valid.txt"), "--tokenizer", tokenizer, "--out",
                                 scene().path("fallback.tokens"), "--json"})
                          .json();
  const json of_tokens = fabula_ok({"eval", run, "--data", scene().path("fallback.tokens"), "--json"}).json();
  EXPECT_EQ(of_tokens, fabula_ok({"eval", run, "--data", scene().path("valid.txt"), "--json"}).json());
  EXPECT_EQ(of_tokens["positions"].get<int>() + 1, counts["tokens"].get<int>());
  const json tokens = fabula_ok({"score", run, "--text", "the and \u00e9", "--json"}).json()["tokens"];
  ASSERT_EQ(tokens.size(), 5u);  // " the", " and", " " and two bytes
  EXPECT_EQ(tokens[0]["id"], 259 + 4);
  EXPECT_EQ(tokens[4]["id"], 3 + 0xa9);
  fabula_ok({"generate", run, "--prompt", "the", "--max-tokens", "4"});
}

TEST(Import, ACheckpointBecomesAFolder) {
  const std::string tokenizer = tokenizer_bin(), model = scene().path("model.bin"), out = scene().path("imported");
  const test::Llama2cSizes sizes{.dim = 16,
                                 .hidden = 24,
                                 .layers = 1,
                                 .heads = 4,
                                 .kv_heads = 2,
                                 .vocab = static_cast<int>(pieces().size()),
                                 .positions = 24};
  write(model, test::random_llama2c(sizes, 2));
  const json said = fabula_ok({"import", model, "--tokenizer", tokenizer, "--out", out, "--json"}).json();
  EXPECT_EQ(said["num_key_value_heads"], 2);
  test::Llama2cModel plain(model);
  const auto expected = plain.greedy({1, 263}, 6);
  std::string text;
  for (const auto& step : expected) {
    if (step.token < 3) break;
    text += step.token < 259 ? std::string(1, static_cast<char>(step.token - 3)) : pieces()[step.token].text;
  }
  const json generated =
      fabula_ok({"generate", out, "--prompt", "the", "--temperature", "0", "--max-tokens", "6", "--json"}).json();
  EXPECT_EQ(generated[0]["text"], json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)));
  const json score = fabula_ok({"score", out, "--text", "the", "--json"}).json();
  plain.restart();
  EXPECT_NEAR(score["log_p"].get<double>(), test::log_softmax(plain.step(1))[263], 1e-4);
}

TEST(Import, BadFilesAreRefusedAndNothingIsLeft) {
  const std::string tokenizer = tokenizer_bin(), model = scene().path("model2.bin"), out = scene().path("imported2");
  const test::Llama2cSizes sizes{
      .dim = 8, .hidden = 8, .layers = 1, .heads = 2, .kv_heads = 1, .vocab = 300, .positions = 8};
  const std::string bytes = test::random_llama2c(sizes, 2);
  write(model, bytes);
  const auto refused = [&](int status, const std::vector<std::string>& parts, const std::string& from,
                           const std::string& with) {
    expect_refusal(fabula({"import", from, "--tokenizer", with, "--out", out}), status, parts);
    EXPECT_FALSE(std::filesystem::exists(out));
  };
  refused(2, {"tok.bin has 292 tokens", "a vocabulary of 300"}, model, tokenizer);
  refused(1, {"model2.bin", "token 0 is", "<unk>"}, model, model);
  refused(1, {"tok.bin", "hidden_dim is 0, expected 1 to"}, tokenizer, tokenizer);
  write(model, bytes.substr(0, bytes.size() / 2));
  refused(1, {"model2.bin", "cut short"}, model, tokenizer);
  refused(1, {"none.bin"}, scene().path("none.bin"), tokenizer);
}

std::vector<double> log_probs(const std::string& folder) {
  std::vector<double> values;
  const json scored = fabula_ok({"score", folder, "--text", "Once upon a time", "--json"}).json();
  for (const json& token : scored["tokens"]) values.push_back(token["log_p"]);
  return values;
}

TEST(Export, ARunGoesOutAndComesBack) {
  const std::string run = scene().finished_run(), out = scene().path("exported"), in = scene().path("back");
  const json said = fabula_ok({"export", run, "--format", "hf", "--out", out, "--json"}).json();
  EXPECT_EQ(said, json({{"format", "hf"}, {"written", {out}}}));
  for (const char* name : {"model.safetensors", "config.json", "tokenizer.json", "modeling_fabula.py", "README.md"})
    EXPECT_TRUE(std::filesystem::exists(out + "/" + name)) << name;
  EXPECT_FALSE(std::filesystem::exists(out + "/state.json"));
  const std::string card = read(out + "/README.md");
  EXPECT_NE(card.find("Validation perplexity per token"), std::string::npos) << card;
  EXPECT_NE(card.find("| 60 |"), std::string::npos) << card;
  EXPECT_EQ(log_probs(out), log_probs(run));
  const json imported = fabula_ok({"import", out, "--out", in, "--json"}).json();
  EXPECT_EQ(imported["from"], "hf");
  EXPECT_EQ(read(in + "/model.safetensors"), read(out + "/model.safetensors"));
  expect_refusal(fabula({"import", out, "--out", in}), 2, {"holds files already", "--overwrite"});
  fabula_ok({"import", out, "--out", in, "--overwrite", "--dtype", "f16"});
  EXPECT_LT(read(in + "/model.safetensors").size(), 0.7 * static_cast<double>(read(out + "/model.safetensors").size()));
  const std::vector<double> halves = log_probs(in), wholes = log_probs(out);
  for (size_t i = 0; i < wholes.size(); ++i) EXPECT_NEAR(halves[i], wholes[i], 0.02);
}

TEST(Export, ARunOfAnOlderProgramGetsItsMapAmongTheWeights) {
  const std::string old = std::string(FABULA_SOURCE_DIR) + "/tests/cli/fixtures/run_format_1";
  const std::string out = scene().path("exported_old");
  EXPECT_EQ(read(old + "/model.safetensors").find("lm_head.tokens"), std::string::npos);
  fabula_ok({"export", old, "--format", "hf", "--out", out});
  EXPECT_NE(read(out + "/model.safetensors").find("lm_head.tokens"), std::string::npos);
  std::filesystem::remove(out + "/token_groups.json");
  EXPECT_EQ(log_probs(out), log_probs(old));
}

TEST(Export, WhatAFormatCannotHoldIsRefused) {
  const std::string run = scene().finished_run(), out = scene().path("refused");
  expect_refusal(fabula({"export", run, "--format", "llama2c", "--out", out}), 1, {"llama2.c", "--format hf"});
  expect_refusal(fabula({"export", run, "--format", "hf", "--dtype", "q8_0", "--out", out}), 1, {"q8_0"});
  expect_refusal(fabula({"export", run, "--format", "onnx", "--out", out}), 2, {"--format", "onnx"});
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace fabula::cli_test
