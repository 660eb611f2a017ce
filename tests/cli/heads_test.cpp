// A model gets another head from the command line, is measured, and trained on.
#include "cli/scene.hpp"

namespace fabula::cli_test {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const std::string& full_run() {
  static const std::string run = [] {
    fabula_ok(scene().train("full_headed", {"--set", "head=full", "--set", "train.steps=40"}));
    return scene().path("full_headed");
  }();
  return run;
}

Args convert(const std::string& out, const Args& more) {
  return Args{"convert", full_run(), "--out", scene().path(out)} + more;
}

double perplexity(const std::string& run) {
  return fabula_ok({"eval", run, "--data", scene().path("valid.tokens"), "--json"}).json()["perplexity"].get<double>();
}

TEST(ConvertHead, SaysWhatItCostsAndTrainsOn) {
  const auto before = contents(full_run());
  const std::string out = scene().path("grouped_head");
  const Result result =
      fabula_ok(convert("grouped_head", {"--head", "grouped", "--data", scene().path("stories.tokens"), "--valid",
                                         scene().path("valid.txt"), "--fine-tune", "20", "--set", "head.shortlist=12",
                                         "--set", "train.sample_every=0", "--json"}));
  const json said = result.json();
  EXPECT_EQ(contents(full_run()), before);
  EXPECT_NE(said["head"].get<std::string>().find("shortlist 12"), std::string::npos) << said;
  EXPECT_EQ(said["nats_lost"].size(), 4u);
  EXPECT_NEAR(said["perplexity_before"], perplexity(full_run()), 1e-6);
  EXPECT_NEAR(said["perplexity_converted"], perplexity(out), 1e-6);
  EXPECT_NEAR(said["perplexity_fine_tuned"], perplexity(out + "/fine_tuned"), 1e-6);
  EXPECT_LT(said["perplexity_converted"].get<double>(), 1.2 * said["perplexity_before"].get<double>());
  EXPECT_LT(said["perplexity_fine_tuned"], said["perplexity_converted"]);
  EXPECT_NE(result.err.find("fabula train " + out + " "), std::string::npos) << result.err;
  const json info = fabula_ok({"info", out + "/fine_tuned", "--json"}).json();
  EXPECT_EQ(info["step"], 20);
  EXPECT_EQ(info["from"], out);
  EXPECT_EQ(info["shortlist"], 12);
  fabula_ok({"generate", out, "--prompt", "Once", "--max-tokens", "4"});
  expect_refusal(fabula(convert("grouped_head", {"--head", "full", "--overwrite", "--fine-tune", "5", "--data",
                                                 scene().path("stories.tokens")})),
                 2, {"fine_tuned is there already"});
}

TEST(ConvertHead, FullAndFusedNeedNoText) {
  const std::string out = scene().path("fused_head");
  EXPECT_EQ(fabula_ok(convert("fused_head", {"--head", "fused"})).out, "");
  EXPECT_EQ(perplexity(out), perplexity(full_run()));
  const auto written = contents(out);
  expect_refusal(fabula(convert("fused_head", {"--head", "full"})), 2, {"holds files already", "--overwrite"});
  EXPECT_EQ(contents(out), written);
  EXPECT_EQ(fabula_ok(convert("fused_head", {"--head", "full", "--overwrite"})).out, "");
  EXPECT_NE(contents(out), written);
  const auto before = contents(out);
  expect_refusal(fabula({"convert", out, "--head", "fused", "--out", out, "--overwrite"}), 2, {"is what is read"});
  EXPECT_EQ(contents(out), before);
  // Numbers that stay keep their type.
  const std::string halves = scene().path("halves"), fused = scene().path("fused_halves");
  fabula_ok({"import", out, "--out", halves, "--dtype", "bf16"});
  fabula_ok({"convert", halves, "--head", "fused", "--out", fused});
  EXPECT_EQ(read(fused + "/model.safetensors"), read(halves + "/model.safetensors"));
}

TEST(ConvertHead, RefusalsLeaveNothing) {
  const auto refused = [](int status, const std::vector<std::string>& parts, const Args& args) {
    expect_refusal(fabula(convert("no_head", args)), status, parts);
    EXPECT_FALSE(fs::exists(scene().path("no_head")));
  };
  refused(2, {"made from a text", "--data"}, {"--head", "grouped"});
  refused(1, {"scale_shift", "--head grouped", "fabula train CONFIG --from"},
          {"--head", "paper", "--set", "tie_word_embeddings=false", "--data", scene().path("stories.tokens")});
  refused(2, {"--head gruoped", "did you mean"}, {"--head", "gruoped"});
  expect_refusal(fabula({"convert", scene().finished_run(), "--head", "full", "--out", scene().path("no_head")}), 1,
                 {"two levels", "fabula train CONFIG --from"});
  EXPECT_FALSE(fs::exists(scene().path("no_head")));
}

}  // namespace
}  // namespace fabula::cli_test
