// A run as a GGUF file and back, by the command line.
#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;

TEST(Gguf, ARunGoesOutAndComesBackTheSame) {
  const std::string run = scene().path("gguf-run"), file = scene().path("gguf-run.gguf"),
                    back = scene().path("gguf-back");
  fabula_ok(scene().train("gguf-run", {"--set", "train.steps=8", "--set", "head.kind=full"}));
  const std::string said = fabula_ok({"export", run, "--format", "gguf", "--out", file}).err;
  EXPECT_NE(said.find("gguf-run.gguf is written ("), std::string::npos) << said;
  EXPECT_NE(said.find(" KiB)"), std::string::npos) << said;
  const json imported = fabula_ok({"import", file, "--out", back, "--json"}).json();
  EXPECT_EQ(imported["from"], "gguf");
  EXPECT_EQ(imported["hidden_size"], 32);
  EXPECT_EQ(fabula_ok({"score", back, "--text", "Once upon a time", "--json"}).json(),
            fabula_ok({"score", run, "--text", "Once upon a time", "--json"}).json());
  const std::string before = read(file);
  expect_refusal(fabula({"export", run, "--format", "gguf", "--out", file}), 2, {"gguf-run.gguf", "--overwrite"});
  EXPECT_EQ(read(file), before);
  fabula_ok({"export", run, "--format", "gguf", "--dtype", "q8_0", "--overwrite", "--out", file});
  EXPECT_LT(read(file).size(), before.size());
  fabula_ok({"import", file, "--out", back, "--overwrite"});
}

TEST(Gguf, WhatIsRefusedLeavesNothing) {
  const std::string file = scene().path("refused.gguf"), out = scene().path("refused");
  expect_refusal(fabula({"export", scene().finished_run(), "--format", "gguf", "--out", file}), 1,
                 {"grouped", "--format hf"});
  EXPECT_FALSE(std::filesystem::exists(file));
  write(file, std::string("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24));
  expect_refusal(fabula({"import", file, "--out", out}), 1, {"refused.gguf", "gpt2, llama"});
  write(file, std::string("GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1", 24));
  expect_refusal(fabula({"import", file, "--out", out}), 1, {"refused.gguf", "truncated or damaged"});
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace fabula::cli_test
