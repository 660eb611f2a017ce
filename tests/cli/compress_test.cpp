// A run is compressed from the command line, and every command takes what comes of it.
#include <gtest/gtest.h>

#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

Args compress(const std::string& out, const Args& more = {}) {
  return Args{"compress", scene().finished_run(), "--data", scene().path("stories.tokens"), "--positions", "2000",
              "--out",    scene().path(out)} +
         more;
}
double perplexity(const std::string& run, const Args& more = {}) {
  return fabula_ok(Args{"eval", run, "--data", scene().path("valid.tokens"), "--json"} + more).json()["perplexity"];
}

TEST(CompressCommand, EveryCommandTakesWhatItMakes) {
  const std::string run = scene().finished_run(), out = scene().path("four_bits");
  const auto before = contents(run);
  const Result result = fabula_ok(compress("four_bits", {"--offsets", "--valid", scene().path("valid.txt"), "--json"}));
  const json said = result.json();
  EXPECT_EQ(contents(run), before);
  EXPECT_EQ(said["bytes"], fs::file_size(out + "/model.safetensors"));
  EXPECT_LT(said["real_bits"], 8.0);
  EXPECT_NEAR(said["perplexity_before"], perplexity(run), 1e-6);
  EXPECT_NEAR(said["perplexity"], perplexity(out), 1e-6);
  EXPECT_LT(said["perplexity"].get<double>(), 1.1 * said["perplexity_before"].get<double>());
  EXPECT_NEAR(perplexity(out, {"--weights", "fp32"}), perplexity(out), 1e-4);
  EXPECT_NE(result.err.find("real bits, error "), std::string::npos);
  EXPECT_NE(read(out + "/compression.html").find("Error by layer"), std::string::npos);
  fabula_ok({"generate", out, "--prompt", "Once", "--max-tokens", "4"});
  fabula_ok({"score", out, "--text", "Once upon"});
  fabula_ok({"export", out, "--format", "hf", "--out", scene().path("four_bits_exported"), "--dtype", "bf16"});
  const std::string trained = scene().path("four_bits_trained");
  fabula_ok(scene().train("four_bits_trained", {"--from", out, "--set", "train.steps=5"}));
  EXPECT_GT(perplexity(trained), 1);
  expect_refusal(fabula({"compress", out, "--data", scene().path("stories.tokens"), "--out", scene().path("again")}), 2,
                 {"is compressed already"});
}

TEST(CompressCommand, AFullDiskLosesNothing) {
  const std::string run = scene().finished_run(), out = scene().path("full_disk");
  const auto before = contents(run);
  // Enough for each matrix alone, not for the whole model.
  RunOptions limited;
  limited.file_size_limit = 20'000;
  const Result full = fabula(compress("full_disk", {"--bits", "8"}), limited);
  EXPECT_NE(full.status, 0);
  EXPECT_NE(full.err.find("go on with:\n  fabula compress " + run + " --method gptq --bits 8"), std::string::npos)
      << full.err;
  EXPECT_EQ(contents(run), before);
  EXPECT_FALSE(fs::exists(out + "/config.json"));
  const json said = fabula_ok(compress("full_disk", {"--bits", "8", "--json"})).json();
  EXPECT_GT(said["resumed"], 0);
  EXPECT_FALSE(fs::exists(out + ".partial"));
}

}  // namespace
}  // namespace fabula::cli_test
