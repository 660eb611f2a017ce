// A run folder that was made when its format was new: it is still a model and still a run. fixtures/run_format_1 is
// what 40 steps on fixtures/stories.txt left, on lavapipe under vulkan-minimum; the numbers are those that the program
// of then printed. A program that can no longer do it refuses the folder and says why; then the test says so too.
#include <gtest/gtest.h>

#include "cli/scene.hpp"
#include "temp_dir.hpp"

namespace fabula::cli_test {
namespace {

const std::filesystem::path kFixtures = std::filesystem::path(FABULA_SOURCE_DIR) / "tests/cli/fixtures";

class OldRun : public testing::Test {
 protected:
  OldRun() { std::filesystem::copy(kFixtures / "run_format_1", run_, std::filesystem::copy_options::recursive); }
  std::string text(const std::string& name) const { return (kFixtures / name).string(); }

  test::TempDir folder_;
  std::string run_ = (folder_ / "run").string();
};

TEST_F(OldRun, IsStillEvaluated) {
  const auto result = fabula_ok({"eval", run_, "--data", text("valid.txt"), "--json"}).json();
  EXPECT_EQ(result.at("positions"), 705);
  EXPECT_NEAR(result.at("loss").get<double>(), 3.580336536921508, 1e-4);
  EXPECT_NEAR(result.at("group_accuracy").get<double>(), 0.10921985815602837, 2.0 / 705);
}

TEST_F(OldRun, StillScoresAndGenerates) {
  const auto score = fabula_ok({"score", run_, "--text", "The cat sat.", "--json"}).json();
  EXPECT_NEAR(score.at("log_p").get<double>(), -35.31189012527466, 1e-3);
  const std::string greedy = fabula_ok({"generate", run_, "--prompt", "Once upon a time", "--temperature", "0",
                                        "--max-tokens", "5", "--at-context-end", "slide"})
                                 .out;
  EXPECT_EQ(greedy.substr(0, 21), "Once upon a time     ");
}

// With other kernels than those it was made with, it goes on when it is told to, and says why not otherwise.
TEST_F(OldRun, StillGoesOn) {
  const std::string tokens = (folder_ / "stories.tokens").string();
  fabula_ok({"data", "prepare", text("stories.txt"), "--tokenizer", run_ + "/tokenizer.json", "--out", tokens});
  const Args go_on{
      "train",       run_ + "/config.json",    "--set",    "train.steps=44", "--data",  tokens, "--out", run_,
      "--tokenizer", run_ + "/tokenizer.json", "--limits", "vulkan-minimum", "--resume"};
  const Result as_it_is = fabula(go_on + Args{"auto"});
  if (as_it_is.status != 0) {
    EXPECT_NE(as_it_is.err.find("kernels"), std::string::npos) << as_it_is.err;
    fabula_ok(go_on + Args{"force"});
  }
  const std::vector<nlohmann::json> steps = records(run_, "train");
  ASSERT_EQ(steps.size(), 44u);
  EXPECT_EQ(steps.back().at("step"), 44);
  EXPECT_NEAR(steps.at(42).at("loss").get<double>(), 3.6378426551818848, 1e-3);
  EXPECT_NEAR(steps.at(43).at("loss").get<double>(), 3.4566211700439453, 1e-3);
}

// Of a format that is not known nothing is guessed.
TEST_F(OldRun, OfAFormatToComeIsRefused) {
  std::string state = read(run_ + "/state.json");
  const std::size_t at = state.find("\"format\": 1");
  ASSERT_NE(at, std::string::npos);
  write(run_ + "/state.json", state.replace(at, 11, "\"format\": 99"));
  const Result result =
      fabula({"train", run_ + "/config.json", "--data", text("stories.txt"), "--out", run_, "--resume", "auto"});
  EXPECT_NE(result.status, 0);
  EXPECT_NE(result.err.find("format 99"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace fabula::cli_test
