// Flags and commands that do not exist: the message names the nearest that do.
#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

TEST(CommandLine, UnknownCommands) {
  expect_refusal(fabula({"trian"}), 2, {"no command \"trian\"", "did you mean train?", "fabula --help"});
  expect_refusal(fabula({"tokenizer", "trane"}), 2,
                 {"fabula tokenizer: there is no command \"trane\"", "did you mean train?", "fabula tokenizer --help"});
  expect_refusal(fabula({"data", "prepair"}), 2, {"did you mean prepare?"});
}

TEST(CommandLine, UnknownFlags) {
  expect_refusal(fabula({"train", "c.json", "--otu", "run"}), 2,
                 {"fabula train: there is no flag \"--otu\"", "did you mean --out?"});
  expect_refusal(fabula({"generate", "run", "--sed=3"}), 2, {"\"--sed\"", "did you mean --seed?"});
  expect_refusal(fabula({"check", "--qick"}), 2, {"did you mean --quick?", "fabula check --help"});
  expect_refusal(fabula({"--jsn"}), 2, {"\"--jsn\""});
}

TEST(CommandLine, MissingParts) {
  expect_refusal(fabula({}), 2, {"name a command", "train", "generate"});
  expect_refusal(fabula({"tokenizer"}), 2, {"name a command", "train, import"});
  expect_refusal(fabula({"train"}), 2, {"config is required"});
  expect_refusal(fabula({"train", "c.json"}), 2, {"--out is required"});
  expect_refusal(fabula({"score", "run"}), 2, {"--text", "--file"});
  expect_refusal(fabula({"info"}), 2, {"run folder"});
}

TEST(CommandLine, ValuesOutOfRange) {
  expect_refusal(fabula({"corpus", "--stories", "-1"}), 2, {"--stories"});
  expect_refusal(fabula({"corpus", "--stories", "many"}), 2, {"--stories"});
  expect_refusal(fabula({"corpus", "--seed", "-1"}), 2, {"--seed"});
  expect_refusal(fabula({"eval", "run", "--data", "x", "--batches", "-1"}), 2, {"--batches"});
  expect_refusal(fabula({"eval", "run", "--data", "x", "--batch-size", "-3"}), 2, {"--batch-size"});
  expect_refusal(fabula({"generate", "run", "--top-k", "-1"}), 2, {"--top-k"});
  expect_refusal(fabula({"generate", "run", "--max-tokens", "0"}), 2, {"--max-tokens"});
  expect_refusal(fabula({"train", "c.json", "--out", "run", "--resume", "maybe"}), 2,
                 {"--resume", "never", "auto", "force"});
  expect_refusal(fabula({"tokenizer", "train", scene().path("valid.txt"), "--vocab-size", "10", "--out", "t"}), 2,
                 {"10", "257"});
  expect_refusal(fabula({"check", "--filter", "layer_nrom"}), 2, {"no op has", "did you mean \"layer_norm\""});
}

TEST(CommandLine, HelpAndVersionSucceed) {
  EXPECT_NE(fabula_ok({"--help"}).out.find("generate"), std::string::npos);
  EXPECT_NE(fabula_ok({"train", "--help"}).out.find("--overfit-batch"), std::string::npos);
  EXPECT_NE(fabula_ok({"--version"}).out.find('.'), std::string::npos);
}

}  // namespace
}  // namespace fabula::cli_test
